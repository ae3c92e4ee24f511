"""Convolution at stride 1 by one kernel that reads its windows directly from the map (see ``implicit.cu``).

It is also a product of the im2col columns and the weights ("implicit GEMM"; Chetlur et al. 2014, cuDNN, section 3), but
the columns exist only in registers, a few at a time. This saves memory traffic, which limits a layer with few channels
on a large map.

Counted for 3×3, 64 channels in and out, 224×224 pixels, float32; **a pixel** costs

================  ===============================================  ==========================
algorithm         bytes to and from memory                         multiplications
================  ===============================================  ==========================
implicit          512: the map once, the result once               36864
shifted           about 2560: + a bordered copy, 3·64 products     36864
columns           about 5120: + 9·64 columns, written and read     36864
winograd          about 2820: + 36/16·64 values, twice             9216
================  ===============================================  ==========================

From the second-level cache, a block of 16×16 pixels reads its map with the border, 18·18/256 = 1.27 times 256 bytes per
pixel, and the weights, 576 bytes per pixel: about 900 bytes. Everything else happens on the multiprocessor.

**Estimates, not measurements**, for an H100-class GPU (67 TFLOPS in float32, 495 in TF32, 3.35 TB/s). 73728 FLOP for
512 bytes are 144 FLOP per byte. In TF32 the GPU computes 148 FLOP in the time of one byte: at 64 channels memory and
arithmetic are balanced, and with fewer channels memory is the limit, because n channels have 2.25·n FLOP per byte. If
these instructions (``mma.sync``) reach 60 % of that rate, arithmetic is the limit at 64 channels and memory up to 39.
In plain float32 the GPU computes 20 FLOP in the time of one byte, and memory is the limit up to 8 channels. At 64
channels the multiplications are, and Winograd, with a quarter of them, should be fastest; shifted products and columns
need as many multiplications and more memory traffic.

A block has 256 threads with at most 128 registers each, and 32 KiB of shared memory at 3×3 and 64 channels: two blocks,
16 warps of 64, fit on a multiprocessor, and one multiplies while the other loads. ``benchmarks/gpu_forms.py`` compares
all algorithms.

With tensor cores the factors have TF32's 10 mantissa bits if ``modes.matrix_precision`` is ``"tf32"`` or ``"bf16"``
(which allows fewer). The gradient with respect to the input is this convolution with the flipped kernel; the gradient
with respect to the weight is a sum over pixels, which the other algorithms compute.
"""

from dataclasses import dataclass

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.cuda.compiled import THREADS, bias_or_placeholder, contiguous, launch
from scratchnet.engine.memory.pool import pooled_empty
from scratchnet.engine.modes import matrix_precision_in_use
from scratchnet.ops.geometry import ConvSpec, Pair

TILE = 16
"""Pixels along each side of a block's tile."""

DEPTH = 8
"""Channels of the map in shared memory at a time."""

SHARED = 48 * 1024
"""Bytes of shared memory that a block has by default."""

MAX_KERNEL = 7

MAX_OFFSET = 2**31
"""Maximum elements of an image, and of the weights: they are counted in 32 bits."""


@dataclass(frozen=True)
class Blocking:
    """Sizes of the work of a block.

    Attributes
    ----------
    out : int
        Channels of the result per block.
    group : int
        Kernel rows whose weights are in shared memory at a time.
    """

    out: int
    group: int

    @classmethod
    def of(cls, kernel: Pair, c_out: int, itemsize: int) -> "Blocking | None":
        """Return the largest blocks that fit into shared memory with few idle channels; None if none fit."""
        smallest = 16
        while smallest < min(c_out, 64):
            smallest *= 2
        for out in (64, 32, 16):
            for group in (kernel[0], 1):
                if out <= smallest and _shared_elements(kernel, out, group) * itemsize <= SHARED:
                    return cls(out, group)
        return None


def fits(conv: ConvSpec, size: Pair, output: Pair, c: int, c_out: int, itemsize: int) -> bool:
    """Return whether this algorithm applies: stride 1, no dilation, a small kernel, 32-bit offsets."""
    plain = conv.stride == conv.dilation == (1, 1) and conv.groups == 1 and max(conv.kernel) <= MAX_KERNEL
    (h, w), (oh, ow), (kh, kw) = size, output, conv.kernel
    small = max(h * w * c, oh * ow * c_out, kh * kw * c * c_out) < MAX_OFFSET
    return plain and small and Blocking.of(conv.kernel, c_out, itemsize) is not None


def tiles(n: int, output: Pair) -> int:
    """Return the number of tiles in the result of ``n`` images."""
    return n * -(-output[0] // TILE) * -(-output[1] // TILE)


def convolve(x: Array, weight: Array, bias: Array | None, conv: ConvSpec, output: Pair) -> Array:
    """Return the convolution, ``(n, *output, c_out)``."""
    x, weight = contiguous(x, weight)
    n, h, w, c = x.shape
    c_out, (kh, kw) = weight.shape[3], conv.kernel
    y = pooled_empty(x, (n, *output, c_out))
    blocking = Blocking.of(conv.kernel, c_out, x.itemsize)
    assert blocking is not None  # see fits
    shortened = x.dtype == np.float32 and matrix_precision_in_use() != "float32"
    chosen = {"KH": kh, "KW": kw, "OUT": blocking.out, "GROUP": blocking.group, "TENSOR_CORES": int(shortened)}
    grid = (tiles(n, output) * -(-c_out // blocking.out),)
    arrays = x, weight, bias_or_placeholder(bias, weight), y
    sizes = h, w, c, *output, c_out, *conv.padding, bias is not None
    macros = (f"{name}={value}" for name, value in chosen.items())
    launch("implicit", "convolve", x.dtype, grid, (THREADS,), *arrays, *sizes, macros=macros)
    return y


def _shared_elements(kernel: Pair, out: int, group: int) -> int:
    """Return the elements of the map and weights in shared memory, padded as in the kernel."""
    kh, kw = kernel
    pitch = -(-(TILE + kw - 1) // 4) * 4
    plane = ((TILE + kh - 1) * pitch + 23) // 32 * 32 + 8
    return DEPTH * plane + group * kw * DEPTH * (out + 8)
