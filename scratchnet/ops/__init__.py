"""The mathematics: pure functions on arrays, each forward pass next to its backward pass, one idea per file.

Every function is plain NumPy or CuPy code, the textbook form of its formula. Where ``engine.cpu`` or ``engine.cuda``
has a faster form of the same name, the decorator ``operation`` runs that one instead (see ``engine.dispatch``); inside
``scratchnet.textbook()`` the plain code runs.

No module here depends on layers. Functions take and return channels-last arrays ``(n, h, w, c)``, change no argument
unless they say so, and preserve the dtype of their input (float32 or float64) in both passes. Arrays may have any
memory layout; other dtypes, mixed dtypes and mismatched shapes raise an error (see ``engine.arguments``).
"""
