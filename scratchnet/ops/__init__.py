"""The mathematics: pure functions on arrays, each forward pass next to its backward pass, one idea per file.

No module here depends on layers. Functions take and return channels-last arrays ``(n, h, w, c)``, never change
their arguments, and preserve the dtype of their input (float32 or float64) in both passes. Arrays may have any memory
layout; other dtypes, mixed dtypes and mismatched shapes raise an error (see ``arguments``).
"""
