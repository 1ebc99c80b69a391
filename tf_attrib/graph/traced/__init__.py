"""A model that runs: trace, cut, gradients, heads and lookups."""
