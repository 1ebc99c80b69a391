"""Rules of DeepLIFT and of guided backpropagation: from a type of operation to the gradient that stands in for its own."""
