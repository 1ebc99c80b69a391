"""`Result`: the numbers, their reductions, their words and their file."""
