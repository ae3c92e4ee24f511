import numpy as np
import pytest

from scratchnet.layers import Add, Concatenate, Crop, Pad
from tests.compare import numbers


@pytest.mark.parametrize(("offset", "corner"), [((1, 2), (1, 2)), (1, (1, 1)), (0, (0, 0)), (None, (1, 2))], ids=str)
def test_crop_takes_its_offset_or_the_middle(offset, corner):
    x, like = numbers(1, 6, 9, 2), np.zeros((1, 3, 4, 5))
    top, left = corner
    np.testing.assert_array_equal(Crop(offset).forward(x, like), x[:, top : top + 3, left : left + 4])


def test_a_margin_is_left_out_of_the_second_map_on_every_side():
    x, like = numbers(1, 6, 9, 2), np.zeros((1, 7, 8, 5))
    np.testing.assert_array_equal(Crop((1, 2), margin=2).forward(x, like), x[:, 1:4, 2:6])
    assert [Crop(o).describe() for o in (None, 19, (1, 2))] == ["crop the middle", "crop at 19", "crop at 1, 2"]
    with pytest.raises(ValueError, match=r"crop: 0×1 at .* does not fit into 6×9"):
        Crop(0, margin=2).output_shape((1, 6, 9, 2), (1, 4, 5, 1))


@pytest.mark.parametrize(
    ("offset", "like", "text"),
    [
        ((4, 0), (1, 3, 4, 1), r"crop: 3×4 at \(4, 0\) does not fit into 6×9"),
        (None, (1, 7, 4, 1), "crop: 7×4 at .* does not fit into 6×9"),
        ((0, 6), (1, 3, 4, 1), r"crop: 3×4 at \(0, 6\) does not fit into 6×9"),
    ],
)
def test_crops_over_the_edge_are_refused_before_anything_is_computed(offset, like, text):
    with pytest.raises(ValueError, match=text):
        Crop(offset).output_shape((1, 6, 9, 2), like)


def test_shapes_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"must agree in \(n, h, w\), got \(1, 4, 4, 2\), \(1, 4, 5, 2\)"):
        Concatenate().output_shape((1, 4, 4, 2), (1, 4, 5, 2))
    with pytest.raises(ValueError, match=r"must have one shape, got \(1, 4, 4, 2\), \(1, 4, 4, 3\)"):
        Add().output_shape((1, 4, 4, 2), (1, 4, 4, 3))
    with pytest.raises(ValueError, match="padding is -1; expected"):
        Pad(-1)


def test_concatenate_sends_each_map_its_own_piece():
    layer = Concatenate()
    layer.forward(np.zeros((1, 1, 1, 1)), np.zeros((1, 1, 1, 3)))
    first, second = layer.backward(np.arange(4.0).reshape(1, 1, 1, 4))
    assert (first.ravel().tolist(), second.ravel().tolist()) == ([0], [1, 2, 3])
