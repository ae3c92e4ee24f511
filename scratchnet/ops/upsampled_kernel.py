"""Upsampling by repeated pixels and the convolution that follows, as one transposed convolution.

To repeat every pixel 2×2 times is itself a transposed convolution: its kernel is 2×2 ones, its stride 2. A transposed
convolution of stride 1 and kernel w that follows it can be merged with it. The stride is then 2 and the kernel

    K[m] = w[m] + w[m − 1]            along both axes, with w = 0 outside the kernel

with one more row and column than w. The four output pixels of an input pixel see different parts of K: for a 3×3
kernel, 2×2 elements each instead of 3×3. And the upsampled map, four times as large, is never in memory.

The map from w to K is linear. Its adjoint adds the gradients of both terms: ``dw[i] = dK[i] + dK[i + 1]``.

Reference: Odena, Dumoulin, Olah, "Deconvolution and checkerboard artifacts" (2016), for resizing before a convolution.
"""

from scratchnet.arrays import Array, get_array_module
from scratchnet.engine.dispatch import operation


@operation(weight="kh kw a b")
def upsampled_kernel(weight: Array) -> Array:
    """Return K (kh + 1, kw + 1, c_out, c_in) for a transposed convolution's kernel (kh, kw, c_out, c_in).

    >>> import numpy as np
    >>> upsampled_kernel(np.array([1.0, 2.0, 3.0]).reshape(1, 3, 1, 1))[0].ravel()
    array([1., 3., 5., 3.])
    """
    padded = get_array_module(weight).pad(weight, ((1, 1), (1, 1), (0, 0), (0, 0)))
    rows = padded[1:] + padded[:-1]
    kernel: Array = rows[:, 1:] + rows[:, :-1]
    return kernel


@operation(dkernel="kh kw a b")
def upsampled_kernel_backward(dkernel: Array) -> Array:
    """Return dweight (kh, kw, c_out, c_in) from the gradient of K (kh + 1, kw + 1, c_out, c_in)."""
    rows = dkernel[1:] + dkernel[:-1]
    dweight: Array = rows[:, 1:] + rows[:, :-1]
    return dweight
