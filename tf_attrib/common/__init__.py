"""What every room uses: errors, nested arrays, atomic files, progress, seeds, checks of arguments."""
