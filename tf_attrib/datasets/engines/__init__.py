"""What an engine of a cluster calls on its workers: batches of columns in, columns of attributions out."""
