import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratchnet.engine.cpu.blocks import blocks, count_pieces, cut_evenly
from scratchnet.engine.cpu.threads import split_evenly


@given(st.integers(1, 5), st.integers(1, 12), st.integers(1, 12), st.integers(0, 200), st.integers(1, 5))
def test_blocks_cover_every_position_once_and_keep_to_the_limit(n, oh, ow, limit, parts):
    visits = np.zeros((n, oh, ow), int)
    boxes = blocks(n, oh, ow, limit, parts)
    assert max(b.n1 - b.n0 for b in boxes) == 1 or all(b.r1 - b.r0 == oh for b in boxes)  # several images only if whole
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
    assert shapes(45) == [(1, 4, 5), (2, 4, 5)]
    assert shapes(12) == [(1, 2, 5)] * 6
    assert set(shapes(3)) == {(1, 1, 3), (1, 1, 2)}


@pytest.mark.parametrize("cores", [2, 3, 4])
@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_cores_have_the_same_number_of_boxes_of_about_the_same_size(n, cores):
    for limit in range(28, 14 * 14):
        boxes = blocks(n, 14, 14, limit, cores)
        shares = split_evenly(boxes, cores)
        assert {len(share) for share in shares} == {len(boxes) // cores}
        sizes = [sum((b.n1 - b.n0) * (b.r1 - b.r0) * (b.c1 - b.c0) for b in share) for share in shares]
        assert max(sizes) - min(sizes) <= 14 * n  # a row of each image


def test_a_few_rows_are_not_cut_into_more_pieces_than_there_are():
    assert count_pieces(3, 1, cores=2) == 3
    assert count_pieces(5, 2, cores=2) == 4
    assert count_pieces(5, 2, cores=2, others=6) == 3
    assert cut_evenly(14, 4) == [(0, 3), (3, 7), (7, 10), (10, 14)]
