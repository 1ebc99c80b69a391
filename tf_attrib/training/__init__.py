"""Attributions in training: callback, TensorBoard, a loss."""
