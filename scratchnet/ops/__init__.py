"""The mathematics: pure functions on arrays, every forward beside its backward, one idea a file.

Nothing here knows of layers or networks. Functions take and return channels-last arrays ``(n, h, w, c)``, never change
their arguments, and keep the dtype of their input (float32 or float64) through forward and backward. Arrays may have
any memory layout; other dtypes, two dtypes in one call and shapes that do not fit are refused (see ``arguments``).
"""
