"""Benchmarks of scratchnet, beside PyTorch and other NumPy libraries; they run from a clone and are not installed."""
