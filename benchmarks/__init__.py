"""What a training step costs: hand-written NumPy, tinygrad_lite and PyTorch side by side (``python -m benchmarks``)."""
