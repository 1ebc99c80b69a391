"""Language models: which tokens led to each token of a continuation, that was generated or is given."""
