"""Strided convolution as an ordinary one of folded maps, so that Winograd's transform can be used.

    y[o] = Σ_i x[s·o + i − p] · w[i] = Σ_k Σ_a X[o + k, a] · W[k, a]        i = s·k + a  (one axis)

Fold s·s neighbouring pixels into one with s·s times the channels, X[u, a] = x[s·u + a − p], and the kernel likewise,
filled up with zeros: W[k, a] = w[s·k + a]. The strided convolution of x is then a convolution of X at stride 1, with a
kernel of ⌈kh/s⌉ rows: 2×2 for a kernel of 3×3 or 4×4 at stride 2. F(3×3, 2×2) needs 16 multiplications for nine pixels
instead of 36, and rounds no worse than the direct sum.

The gradients follow: that with respect to x is the gradient with respect to X, unfolded. A transposed convolution
with a stride is computed in the same way. Folding copies every pixel once.

Reference: Shi et al., "Is the deconvolution layer the same as a convolutional layer?" (2016), for the folding.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product

from scratchnet.arrays import Array
from scratchnet.engine.cpu import winograd
from scratchnet.engine.cpu.epilogue import apply_epilogue
from scratchnet.engine.cpu.threads import OPERATIONS_PER_ELEMENT, parallel_for
from scratchnet.engine.cpu.winograd_outputs import UnfoldedOutput
from scratchnet.engine.memory.pool import pooled_empty, pooled_zeros
from scratchnet.engine.memory_layout import copy_pixels, row_of
from scratchnet.ops.epilogue import Epilogue
from scratchnet.ops.geometry import ConvSpec, Pair, tap


def convolve(
    x: Array, weight: Array, conv: ConvSpec, size: Pair, bias: Array | None = None, after: Epilogue | None = None
) -> Array:
    """Return the convolution ``(n, *size, c_out)`` of one group without dilation."""
    folded, kernel = _fold(x, conv, size), _fold_kernel(weight, conv)
    return winograd.convolve(folded, kernel, bias, (0, 0), folded_tile(conv), after=after)


def input_gradient(
    dy: Array, weight: Array, size: Pair, conv: ConvSpec, bias: Array | None = None, after: Epilogue | None = None
) -> Array:
    """Return dx ``(n, *size, c_in)``; for a transposed convolution with its bias ``(c_in,)`` and epilogue."""
    (th, tw), (sh, sw) = folded_kernel(conv), conv.stride
    padding, kernel = (th - 1, tw - 1), _fold_kernel(weight, conv)
    n, oh, ow = winograd.output_size(dy, (th, tw), padding)
    dx = (pooled_empty if _reaches((oh, ow), size, conv) else pooled_zeros)(dy, (n, *size, weight.shape[2]))
    if not _reaches((oh, ow), size, conv):
        if bias is not None:
            dx[...] = bias
        apply_epilogue(dx, after)
    row = None if bias is None else row_of(bias, sh * sw)
    if after is not None and after.scale is not None and after.shift is not None:
        after = replace(after, scale=row_of(after.scale, sh * sw), shift=row_of(after.shift, sh * sw))
    output = UnfoldedOutput(dx, conv, (n, oh, ow, kernel.shape[2]))
    winograd.convolve_to(output, dy, kernel, row, padding, folded_tile(conv), True, after)
    return dx


def weight_gradient(dy: Array, x: Array, weight: Array, conv: ConvSpec) -> Array:
    """Return dW (kh, kw, c_in, c_out); of ``weight`` only the shape is used."""
    folded = winograd.weight_gradient(dy, _fold(x, conv, dy.shape[1:3]), (0, 0), folded_tile(conv))
    return _unfold_kernel(folded, weight, conv)


def backward(dy: Array, x: Array, weight: Array, conv: ConvSpec) -> tuple[Array, Array]:
    """Return dx and dweight, both from the same transformed patches of dy."""
    th, tw = folded_kernel(conv)
    folded = _fold(x, conv, dy.shape[1:3])
    kernel = _fold_kernel(weight, conv)
    dx, dweight = winograd.backward(dy, folded, kernel, (th - 1, tw - 1), folded_tile(conv), flipped=True)
    return _unfold(dx, x.shape[1:3], conv), _unfold_kernel(dweight, weight, conv)


def transposed_backward(dy: Array, x: Array, weight: Array, conv: ConvSpec) -> tuple[Array, Array]:
    """Return dx and dweight of the transposed convolution of ``x``, both from the same transformed patches of dy."""
    folded, kernel = _fold(dy, conv, x.shape[1:3]), _fold_kernel(weight, conv)
    dx, dweight = winograd.backward(folded, x, kernel, (0, 0), folded_tile(conv), flipped=False)
    return dx, _unfold_kernel(dweight, weight, conv)


def folded_kernel(conv: ConvSpec) -> Pair:
    """Return the size of the folded kernel."""
    return -(-conv.kernel[0] // conv.stride[0]), -(-conv.kernel[1] // conv.stride[1])


def folded_tile(conv: ConvSpec) -> int:
    """Return Winograd's m: F(3×3, 2×2) for 2×2 kernels, 4 for larger ones."""
    return 3 if max(folded_kernel(conv)) == 2 else 4


def _fold(x: Array, conv: ConvSpec, size: Pair) -> Array:
    """Return X for an output of ``size``: (n, size + kernel − 1, s·s·c), with zeros outside ``x``."""
    (th, tw), (sh, sw) = folded_kernel(conv), conv.stride
    n, h, w, c = x.shape
    rows, columns = size[0] + th - 1, size[1] + tw - 1
    folded = pooled_empty(x, (n, rows, columns, sh, sw, c))

    def copy(a: int, b: int, part: slice) -> None:
        v, u = (
            tap(a, h, part.stop - part.start, sh, conv.padding[0], part.start),
            tap(b, w, columns, sw, conv.padding[1]),
        )
        target = folded[:, part, :, a, b]
        copy_pixels(x[:, v.source, u.source], target[:, v.out, u.out])
        for outside in (slice(v.out.start), slice(v.out.stop, None)):
            target[:, outside] = 0
        for outside in (slice(u.out.start), slice(u.out.stop, None)):
            target[:, v.out, outside] = 0

    _by_phase(copy, rows, conv, folded.size)
    return folded.reshape(n, rows, columns, sh * sw * c)


def _unfold(folded: Array, size: Pair, conv: ConvSpec) -> Array:
    """Return the map x ``(n, *size, c)`` of a folded one; pixels that it does not reach are 0."""
    (sh, sw), n, c = conv.stride, len(folded), folded.shape[3] // (conv.stride[0] * conv.stride[1])
    _, rows, columns, _ = folded.shape
    pixels = folded.reshape(n, rows, columns, sh, sw, c)
    x = (pooled_empty if _reaches((rows, columns), size, conv) else pooled_zeros)(folded, (n, *size, c))

    def copy(a: int, b: int, part: slice) -> None:
        v = tap(a, size[0], part.stop - part.start, sh, conv.padding[0], part.start)
        u = tap(b, size[1], columns, sw, conv.padding[1])
        copy_pixels(pixels[:, part, :, a, b][:, v.out, u.out], x[:, v.source, u.source])

    _by_phase(copy, rows, conv, folded.size)
    return x


def _reaches(folded: Pair, size: Pair, conv: ConvSpec) -> bool:
    """Return whether a folded map of this size contains all pixels of a map of ``size``."""
    return all(
        s * count - p >= extent for s, count, p, extent in zip(conv.stride, folded, conv.padding, size, strict=True)
    )


def _by_phase(copy: Callable[[int, int, slice], None], rows: int, conv: ConvSpec, count: int) -> None:
    """Call ``copy`` for every position in a folded pixel and for some of the folded rows, on all cores."""
    step = max(1, rows // 16)
    parts = [slice(begin, min(begin + step, rows)) for begin in range(0, rows, step)]

    def run(part: slice) -> None:
        for a, b in product(range(conv.stride[0]), range(conv.stride[1])):
            copy(a, b, part)

    parallel_for(run, parts, OPERATIONS_PER_ELEMENT * count)


def _fold_kernel(weight: Array, conv: ConvSpec) -> Array:
    """Return W (⌈kh/s⌉, ⌈kw/s⌉, s·s·c_in, c_out)."""
    (th, tw), (sh, sw) = folded_kernel(conv), conv.stride
    folded = pooled_zeros(weight, (th, tw, sh, sw, *weight.shape[2:]))
    for k, i, part in _taps(conv):
        folded[k[0], k[1], : part[0], : part[1]] = weight[i[0] : i[0] + part[0], i[1] : i[1] + part[1]]
    kernel: Array = folded.reshape(th, tw, -1, weight.shape[3])
    return kernel


def _unfold_kernel(folded: Array, weight: Array, conv: ConvSpec) -> Array:
    """Return the kernel (kh, kw, c_in, c_out) of a folded one; of ``weight`` only the shape is used."""
    kernel = pooled_empty(folded, weight.shape)
    whole = folded.reshape(*folded.shape[:2], *conv.stride, *weight.shape[2:])
    for k, i, part in _taps(conv):
        kernel[i[0] : i[0] + part[0], i[1] : i[1] + part[1]] = whole[k[0], k[1], : part[0], : part[1]]
    return kernel


def _taps(conv: ConvSpec) -> Iterator[tuple[Pair, Pair, Pair]]:
    """Yield every tap of the folded kernel, the first tap of the kernel in it, and how many rows and columns it has."""
    (kh, kw), (sh, sw) = conv.kernel, conv.stride
    for i, j in product(range(0, kh, sh), range(0, kw, sw)):
        yield (i // sh, j // sw), (i, j), (min(sh, kh - i), min(sw, kw - j))
