"""Files that are read and not run: SavedModels, frozen graphs, Keras files."""
