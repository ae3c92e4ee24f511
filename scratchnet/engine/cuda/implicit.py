"""Convolution at stride 1 by one kernel that takes its windows straight from the map (see ``implicit.cu``).

It is a matrix product too, of the columns that im2col would write and the weights ("implicit GEMM"; Chetlur et al.
2014, cuDNN, section 3). But the columns exist only in registers, piece by piece. What that saves is memory traffic,
which is what a layer of few channels on a large map waits for.

Counted for 3×3, 64 channels in and out, 224×224 pixels, float32; **a pixel** costs

================  ===============================================  ==========================
form              bytes to and from memory                         multiplications
================  ===============================================  ==========================
implicit          512: the map once, the result once               36864
shifted           about 2560: + a bordered copy, 3·64 products     36864
columns           about 5120: + 9·64 columns, written and read     36864
winograd          about 2820: + 36/16·64 numbers, twice            9216
================  ===============================================  ==========================

From the second-level cache a block of 16×16 pixels reads its map with the border, 18·18/256 = 1.27 times 256 bytes a
pixel, and the weights, 576 bytes a pixel: about 900 bytes. All else happens on the multiprocessor.

**Estimates, not measurements**, for an H100-class GPU (67 TFLOPS in float32, 495 in TF32, 3.35 TB/s). 73728 FLOP on 512
bytes are 144 FLOP a byte. In TF32 the GPU does 148 FLOP in the time of a byte: at 64 channels memory and arithmetic are
in balance, and with fewer memory is the limit, as n channels have 2.25·n FLOP a byte. If these instructions
(``mma.sync``) come to 60 % of that rate, arithmetic is the limit at 64 channels and memory up to 39. In plain float32
it does 20 FLOP in the time of a byte: memory is the limit up to 8 channels. At 64 the multiplications are, and
Winograd, which does a quarter of them, should win; shifted products and columns do as many and wait for memory besides.

A block has 256 threads, 128 registers each at most, and 32 KiB of shared memory at 3×3 and 64 channels: two blocks, 16
warps of 64, fit on a multiprocessor, one of which multiplies while the other fetches. ``benchmarks/gpu_forms.py``
measures all forms beside each other.

With tensor cores the factors have TF32's 10 bits of mantissa where ``modes.matrix_precision`` says ``"tf32"``, and also
where it says ``"bf16"``, which allows less. The gradient by the input is this convolution with the turned kernel; that
by the weight is a sum over pixels, of another shape, and left to the other forms.
"""

from dataclasses import dataclass

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.cuda.compiled import THREADS, bias_or, contiguous, launch
from scratchnet.engine.memory.pool import pooled_empty
from scratchnet.engine.modes import matrix_precision_in_use
from scratchnet.ops.geometry import ConvSpec, Pair

TILE = 16
"""Pixels of a block's tile along each side."""

DEPTH = 8
"""Channels of the map that are in shared memory at one time."""

SHARED = 48 * 1024
"""Bytes of shared memory that a block has without asking for more."""

LARGEST_KERNEL = 7

MOST_OFFSET = 2**31
"""Numbers of an image, and of the weights, are counted in 32 bits."""


@dataclass(frozen=True)
class Blocking:
    """How much a block makes and fetches.

    Attributes
    ----------
    out : int
        Channels of the result that a block makes.
    group : int
        Kernel rows whose weights are in shared memory at one time.
    """

    out: int
    group: int

    @classmethod
    def of(cls, kernel: Pair, c_out: int, itemsize: int) -> "Blocking | None":
        """Return the largest blocks that fit into shared memory and have not many idle channels; None if none fit."""
        smallest = 16
        while smallest < min(c_out, 64):
            smallest *= 2
        for out in (64, 32, 16):
            for group in (kernel[0], 1):
                if out <= smallest and _shared_numbers(kernel, out, group) * itemsize <= SHARED:
                    return cls(out, group)
        return None


def fits(conv: ConvSpec, size: Pair, output: Pair, c: int, c_out: int, itemsize: int) -> bool:
    """Return whether a convolution can be computed so: stride 1, no dilation, a small kernel, 32-bit offsets."""
    plain = conv.stride == conv.dilation == (1, 1) and conv.groups == 1 and max(conv.kernel) <= LARGEST_KERNEL
    (h, w), (oh, ow), (kh, kw) = size, output, conv.kernel
    small = max(h * w * c, oh * ow * c_out, kh * kw * c * c_out) < MOST_OFFSET
    return plain and small and Blocking.of(conv.kernel, c_out, itemsize) is not None


def tiles(n: int, output: Pair) -> int:
    """Return how many tiles the result of ``n`` images has."""
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
    arrays = x, weight, bias_or(bias, weight), y
    sizes = h, w, c, *output, c_out, *conv.padding, bias is not None
    macros = (f"{name}={value}" for name, value in chosen.items())
    launch("implicit", "convolve", x.dtype, grid, (THREADS,), *arrays, *sizes, macros=macros)
    return y


def _shared_numbers(kernel: Pair, out: int, group: int) -> int:
    """Return the size of the map and weights in shared memory, padded as the kernel does."""
    kh, kw = kernel
    pitch = -(-(TILE + kw - 1) // 4) * 4
    plane = ((TILE + kh - 1) * pitch + 23) // 32 * 32 + 8
    return DEPTH * plane + group * kw * DEPTH * (out + 8)
