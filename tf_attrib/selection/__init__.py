"""What a user asks for: at, of, target, inputs, baselines, turned into tensors, scores and references."""
