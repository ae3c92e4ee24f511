import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scratchnet.engine.cpu.blocks import blocks


@given(st.integers(1, 5), st.integers(1, 12), st.integers(1, 12), st.integers(0, 200), st.integers(1, 5))
def test_blocks_cover_every_position_once_and_keep_to_the_limit(n, oh, ow, limit, parts):
    visits = np.zeros((n, oh, ow), int)
    boxes = blocks(n, oh, ow, limit, parts)
    assert max(b.n1 - b.n0 for b in boxes) == 1 or boxes[0].r1 - boxes[0].r0 == oh  # several images only if whole
    assert len(boxes) >= visits.size / -(-visits.size // parts)  # something to do for all, rounding aside
    for b in boxes:
        part = visits[b.n0 : b.n1, b.r0 : b.r1, b.c0 : b.c1]
        assert (b.n1 - b.n0) * (b.r1 - b.r0) * (b.c1 - b.c0) == part.size
        assert 1 <= part.size <= max(1, limit)
        part += 1
    assert (visits == 1).all()


def test_blocks_take_whole_images_then_rows_then_pieces_of_a_row():
    def shapes(limit):
        return [(b.n1 - b.n0, b.r1 - b.r0, b.c1 - b.c0) for b in blocks(3, 4, 5, limit)]

    assert shapes(60) == [(3, 4, 5)]
    assert shapes(45) == [(2, 4, 5), (1, 4, 5)]
    assert shapes(12) == [(1, 2, 5)] * 6
    assert set(shapes(3)) == {(1, 1, 3), (1, 1, 2)}
