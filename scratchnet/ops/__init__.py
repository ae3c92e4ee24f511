"""The mathematics: pure functions on arrays, each forward pass next to its backward pass, one idea per file.

Every function is plain NumPy or CuPy code, the textbook form of its formula. Where ``engine.cpu`` or ``engine.cuda``
has a faster form of the same name, the decorator ``operation`` runs that one instead (see ``engine.dispatch``); inside
``scratchnet.textbook()`` the plain code runs.

No module here depends on layers. Functions take and return channels-last arrays ``(n, h, w, c)``, change no argument
unless they say so, and preserve the dtype of their input (float32 or float64) in both passes.

The decorator also checks the arrays. ``@operation(x="n h w c", bias="c")`` names their axes: axes of the same name must
have the same size. Other dtypes, mixed dtypes and mismatched shapes raise an error; the memory layout does not matter.
``written`` marks an array that the function changes, and ``overwritten`` one whose memory a faster form may use for its
result (see ``engine.argument``).
"""
