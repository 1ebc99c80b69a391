"""DeepLIFT and guided backpropagation: pairing of operations, multipliers, rules."""
