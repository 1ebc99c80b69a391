"""An attributor as a graph: the explanation itself becomes a signature of a SavedModel, which runs without this package."""
