import numpy as np
import pytest

from scratchnet.engine.cpu import pool_windows
from scratchnet.engine.cpu.blocks import Block
from scratchnet.engine.cpu.pool_windows import overlapping, pool_blocks, pool_taps, separate_blocks, tile_pixels, tiling
from scratchnet.ops.pooling import max_pool2d
from tests.compare import distinct

WINDOWS = {  # kernel, stride, padding, ceil mode: overlapping, tiling
    "2×2": ((2, 2, 0, False), False, True),
    "3×3 of stride 2": ((3, 2, 0, False), True, False),
    "overlapping one way": (((2, 3), 2, 0, False), True, False),
    "gaps": ((2, 3, 0, False), False, False),
    "padded": ((2, 2, 1, False), False, False),
    "4×4, the map is no multiple": ((4, 4, 0, True), False, False),
}


def switches_of(settings, shape=(2, 6, 6, 3)):
    return max_pool2d(distinct(*shape), *settings)[1]


@pytest.mark.parametrize("name", WINDOWS)
def test_which_windows_share_pixels(name):
    settings, shared, tiled = WINDOWS[name]
    switches = switches_of(settings)
    assert (overlapping(switches), tiling(switches)) == (shared, tiled)


@pytest.mark.parametrize("name", WINDOWS)
def test_groups_of_blocks_write_to_pixels_of_their_own(name, monkeypatch):
    monkeypatch.setattr(pool_windows, "CHUNK_BYTES", 1)
    switches = switches_of(WINDOWS[name][0])
    writers = np.zeros((2, 6, 6), int)
    for group in separate_blocks(switches):
        mine = np.zeros(writers.shape, bool)
        for block in group:
            for _, v, u in pool_taps(switches, block):
                mine[block.n0 : block.n1, v.source, u.source] = True
        writers += mine
    assert writers.max() == 1
    assert sorted((b.n0, b.r0) for group in separate_blocks(switches) for b in group) == [
        (n, r) for n in range(2) for r in range(switches.index.shape[1])
    ]


def test_blocks_grow_with_the_bytes_that_may_be_held(monkeypatch):
    switches = switches_of((2,), (2, 12, 8, 16))
    monkeypatch.setattr(pool_windows, "thread_count", lambda: 1)
    counts = []
    for size in (1, 3 * 4 * 16 * 4 * 4, 1 << 30):  # less than a row, three rows, more than everything
        monkeypatch.setattr(pool_windows, "CHUNK_BYTES", size)
        counts.append(len(pool_blocks(switches)))
    assert counts == [12, 4, 1]


def test_pixels_of_tiles_are_sorted_by_position():
    x = distinct(2, 6, 6, 3)
    pixels = tile_pixels(switches_of((2,)), x, Block(1, 2, 1, 3, 0, 3))
    for i, j in np.ndindex(2, 2):
        np.testing.assert_array_equal(pixels[i, j], x[1:2, 2 + i :: 2, j::2])
