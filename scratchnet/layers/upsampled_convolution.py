"""A convolution that also repeats the pixels of its input, if the network asks it to: see ``ops.upsampled_kernel``."""

from scratchnet.arrays import Array
from scratchnet.ops.convolution import conv2d
from scratchnet.ops.epilogue import Epilogue
from scratchnet.ops.geometry import Pair
from scratchnet.ops.transposed import conv_transpose2d, conv_transpose2d_backward
from scratchnet.ops.upsampled_kernel import upsampled_kernel, upsampled_kernel_backward

STRIDE = (2, 2)
"""Copies of a pixel, downwards and across."""


class UpsampledConvolution:
    """The transposed convolution that repeats pixels 2×2 times and then convolves at stride 1.

    Parameters
    ----------
    weight : (kh, kw, a, b)
        The weight of a transposed convolution, or of a convolution, which is a transposed one with the kernel rotated
        by 180° and its channel axes exchanged.
    padding : (vertical, horizontal)
    transposed : bool
    """

    def __init__(self, weight: Array, padding: Pair, transposed: bool) -> None:
        self._transposed = transposed
        self._kernel = upsampled_kernel(self._turned(weight))
        self._padding = padding if transposed else adjoint_padding(weight.shape[:2], padding)

    def _turned(self, weight: Array) -> Array:
        turned: Array = weight if self._transposed else weight[::-1, ::-1].swapaxes(2, 3)
        return turned

    def forward(self, x: Array, bias: Array | None, after: Epilogue | None = None) -> Array:
        """(n, h, w, c_in) → (n, oh, ow, c_out)."""
        return conv_transpose2d(x, self._kernel, bias, STRIDE, self._padding, after=after)

    def backward(
        self, dy: Array, x: Array, needs_input_grad: bool, needs_bias_grad: bool
    ) -> tuple[Array | None, Array, Array | None]:
        """Return dx, dweight and dbias."""
        dx, dkernel, dbias = conv_transpose2d_backward(
            dy,
            x,
            self._kernel,
            STRIDE,
            self._padding,
            needs_input_grad=needs_input_grad,
            needs_bias_grad=needs_bias_grad,
        )
        return dx, self._turned(upsampled_kernel_backward(dkernel)), dbias

    def input_gradient(self, dy: Array) -> Array:
        """Return dx."""
        return conv2d(dy, self._kernel, None, STRIDE, self._padding)


def adjoint_padding(kernel: Pair, padding: Pair) -> Pair:
    """Return the padding of the transposed convolution that equals a convolution of stride 1."""
    return kernel[0] - 1 - padding[0], kernel[1] - 1 - padding[1]
