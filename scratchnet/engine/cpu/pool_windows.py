"""Blocks of a pooling's windows that fit into a core's cache, and the pixels that a block's windows see."""

from scratchnet.arrays import Array
from scratchnet.engine.cpu.blocks import Block, row_blocks
from scratchnet.engine.cpu.threads import thread_count
from scratchnet.ops.geometry import Tap, tap
from scratchnet.ops.switches import Switches

CHUNK_BYTES = 1 << 19
"""Size of the part of the map that is processed at once."""


def pool_blocks(switches: Switches) -> list[Block]:
    """Cut the pooled map into whole rows that fit into a core's cache with the windows they come from."""
    n, oh, ow, c = switches.index.shape
    rows = CHUNK_BYTES // (ow * c * switches.kernel[0] * switches.kernel[1] * 4)
    return row_blocks(n, oh, ow, rows, thread_count())


def separate_blocks(switches: Switches) -> list[list[Block]]:
    """Group blocks so that no two groups write to the same pixels: one block each, or by image if windows overlap."""
    groups: dict[object, list[Block]] = {}
    for i, block in enumerate(pool_blocks(switches)):
        groups.setdefault(block.n0 if overlapping(switches) else i, []).append(block)
    return list(groups.values())


def pool_taps(switches: Switches, block: Block) -> list[tuple[int, Tap, Tap]]:
    """Return, for every position in the window, its switch value and the rows and columns that it connects.

    ``out`` counts within the block, ``source`` within the map.
    """
    (kh, kw), (sh, sw), (ph, pw) = switches.kernel, switches.stride, switches.padding
    rows, ow = block.r1 - block.r0, switches.index.shape[2]
    return [
        (i * kw + j, tap(i, switches.size[0], rows, sh, ph, block.r0), tap(j, switches.size[1], ow, sw, pw))
        for i in range(kh)
        for j in range(kw)
    ]


def tile_pixels(switches: Switches, map_: Array, block: Block) -> Array:
    """View the pixels in a block's windows, sorted by position in the window: (kh, kw, n, rows, ow, c)."""
    (kh, kw), (_, _, ow, c) = switches.kernel, switches.index.shape
    images, rows = block.n1 - block.n0, block.r1 - block.r0
    part = map_[block.n0 : block.n1, block.r0 * kh : block.r1 * kh]
    return part.reshape(images, rows, kh, ow, kw, c).transpose(2, 4, 0, 1, 3, 5)


def overlapping(switches: Switches) -> bool:
    """Return whether a pixel may belong to several windows."""
    return switches.stride[0] < switches.kernel[0] or switches.stride[1] < switches.kernel[1]


def tiling(switches: Switches) -> bool:
    """Return whether every pixel belongs to exactly one window."""
    covered = tuple(k * o for k, o in zip(switches.kernel, switches.index.shape[1:3], strict=True))
    return covered == switches.size and switches.stride == switches.kernel and switches.padding == (0, 0)
