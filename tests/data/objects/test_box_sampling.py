import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scratchnet.arrays import generator
from scratchnet.data import Window
from scratchnet.data.objects.box_sampling import cut_out, enlarged, grid_windows, jittered, pairwise_iou

BOXES = st.builds(Window, st.integers(-9, 9), st.integers(-9, 9), st.integers(1, 9), st.integers(1, 9))


def pixels(box: Window) -> set[tuple[int, int]]:
    return {(y, x) for y in range(box.top, box.top + box.height) for x in range(box.left, box.left + box.width)}


@given(st.lists(BOXES, min_size=1, max_size=4), st.lists(BOXES, min_size=1, max_size=3))
def test_overlaps_count_pixels(boxes: list[Window], others: list[Window]) -> None:
    expected = [[len(pixels(a) & pixels(b)) / len(pixels(a) | pixels(b)) for b in others] for a in boxes]
    np.testing.assert_allclose(pairwise_iou(boxes, others), expected)


@pytest.mark.parametrize(("height", "width"), [(160, 160), (90, 201), (7, 5), (1, 1)])
def test_a_grid_covers_the_image_at_every_scale(height: int, width: int) -> None:
    windows = grid_windows(height, width)
    assert windows[0] == Window(0, 0, height, width)
    assert len(set(windows)) == len(windows) < 400
    for size in {(w.height, w.width) for w in windows}:
        covered = np.zeros((height, width), int)
        for window in windows:
            assert window.top >= 0
            assert window.left >= 0
            assert window.top + window.height <= height
            assert window.left + window.width <= width
            if (window.height, window.width) == size:
                covered[window.slices] += 1
        assert covered.min() >= 1


def test_every_box_of_some_size_overlaps_one_of_the_grid() -> None:
    """Half of the side and half of the step between neighbours: no square from 1/4 to 1 falls through."""
    windows = grid_windows(160, 160)
    rng = np.random.default_rng(0)
    for _ in range(200):
        side = int(160 * 2 ** rng.uniform(-2, 0))
        top, left = rng.integers(0, 160 - side + 1, 2)
        assert pairwise_iou([Window(int(top), int(left), side, side)], windows).max() > 0.35


def test_jittered_boxes_stay_near() -> None:
    box = Window(40, 60, 30, 20)
    boxes = jittered(box, 300, generator(0))
    assert len(boxes) == 300
    shares = pairwise_iou(boxes, [box])[:, 0]
    assert shares.min() > 0.2
    assert (shares > 0.5).mean() > 0.5
    assert (shares < 0.95).mean() > 0.9
    heights, widths = np.array([b.height for b in boxes]), np.array([b.width for b in boxes])
    assert np.log2(heights / 30).mean() == pytest.approx(0, abs=0.06)
    assert (heights.min(), heights.max()) == pytest.approx((30 / 2**0.5, 30 * 2**0.5), abs=1.5)
    assert abs(np.corrcoef(heights, widths)[0, 1]) < 0.2
    assert np.mean([b.top + b.height / 2 for b in boxes]) == pytest.approx(55, abs=1)
    assert jittered(box, 3, generator(1)) == jittered(box, 3, generator(1))
    assert all(min(b.height, b.width) >= 1 for b in jittered(Window(0, 0, 1, 1), 50, generator(0)))


@given(BOXES, st.floats(0.5, 3))
def test_enlarged_boxes_keep_their_centre(box: Window, factor: float) -> None:
    large = enlarged(box, factor)
    assert large.height == max(1, round(box.height * factor))
    assert abs(large.top + large.height / 2 - box.top - box.height / 2) <= 0.5
    assert abs(large.left + large.width / 2 - box.left - box.width / 2) <= 0.5


def test_the_paper_s_factor() -> None:
    assert enlarged(Window(10, 20, 100, 50), 1.2) == Window(0, 15, 120, 60)


@given(BOXES)
def test_what_lies_beyond_the_image_is_filled(box: Window) -> None:
    image = np.arange(1, 61).reshape(5, 4, 3)
    piece = cut_out(image, box, 0)
    assert piece.shape == (box.height, box.width, 3)
    padded = np.pad(image, ((20, 20), (20, 20), (0, 0)))
    top, left = box.top + 20, box.left + 20
    np.testing.assert_array_equal(piece, padded[top : top + box.height, left : left + box.width])
    assert (cut_out(image[:, :, 0], Window(-9, 50, 2, 2), 255) == 255).all()
