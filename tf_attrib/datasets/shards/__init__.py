"""Data sets of any size: read in batches, attributed in shards that survive a crash, and read again."""
