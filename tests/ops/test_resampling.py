import numpy as np
import pytest

from scratchnet.layers.initialization import bilinear
from scratchnet.ops.resampling import (
    bed_of_nails,
    bed_of_nails_backward,
    bilinear_transpose,
    bilinear_transpose_backward,
    interpolation_matrix,
    upsample_bilinear,
    upsample_bilinear_backward,
    upsample_nearest,
    upsample_nearest_backward,
)
from scratchnet.ops.transposed import conv_transpose2d, conv_transpose2d_backward
from tests import naive
from tests.compare import assert_close, image, numbers

SCALES = [1, 2, 3, (2, 3), (4, 1)]


@pytest.mark.parametrize("scale", SCALES)
def test_nearest_repeats_and_its_gradient_sums(scale, pieces, form, dtype):
    x = numbers(2, 3, 4, 2, dtype=dtype)
    sh, sw = naive.both(scale)
    y = upsample_nearest(x, scale)
    assert_close(y, x.repeat(sh, axis=1).repeat(sw, axis=2), dtype)
    dy = numbers(*y.shape, seed=1, dtype=dtype)
    expected = np.zeros(x.shape)
    for r, s in np.ndindex(y.shape[1:3]):
        expected[:, r // sh, s // sw] += dy[:, r, s]
    assert_close(upsample_nearest_backward(dy, scale), expected, dtype)


@pytest.mark.parametrize("scale", SCALES)
def test_nails_stand_in_the_upper_left_corners(scale, form, dtype):
    x = numbers(2, 3, 4, 2, dtype=dtype)
    sh, sw = naive.both(scale)
    expected = np.zeros((2, 3 * sh, 4 * sw, 2))
    for r, s in np.ndindex(3, 4):
        expected[:, r * sh, s * sw] = x[:, r, s]
    y = bed_of_nails(x, scale)
    assert_close(y, expected, dtype)
    assert_close(bed_of_nails_backward(y, scale), x, dtype)
    dy = numbers(*y.shape, seed=1, dtype=dtype)
    assert_close(bed_of_nails_backward(dy, scale), dy[:, ::sh, ::sw], dtype)


def test_gradients_of_nails_are_no_view_of_their_input(form):
    dy = numbers(1, 4, 4, 1)
    bed_of_nails_backward(dy, 2)[...] = 0
    upsample_nearest_backward(dy, 2)[...] = 0
    np.testing.assert_array_equal(dy, numbers(1, 4, 4, 1))


@pytest.mark.parametrize(
    ("size", "new"),
    [((3, 4), (6, 8)), ((3, 4), (3, 4)), ((1, 2), (5, 3)), ((5, 7), (8, 9)), ((6, 8), (4, 3)), ((4, 4), (1, 16))],
)
def test_bilinear_and_its_gradient_agree_with_loops(size, new, dtype):
    x = numbers(2, *size, 3, dtype=dtype)
    y = upsample_bilinear(x, new)
    assert_close(y, naive.upsample_bilinear(x, new), dtype)
    dy = numbers(*y.shape, seed=1, dtype=dtype)
    assert_close(upsample_bilinear_backward(dy, size), naive.upsample_bilinear_backward(dy, size), dtype)


def test_bilinear_by_hand():
    """Twice the size: new centres lie a quarter of a pixel on either side of the old ones; the border is repeated."""
    y = upsample_bilinear(image([[0, 4]]), (1, 4))
    assert y.ravel().tolist() == [0, 1, 3, 4]


@pytest.mark.parametrize(("size", "new"), [(5, 10), (3, 7), (8, 3), (1, 4)])
def test_every_new_pixel_is_a_mean_of_at_most_two_old_ones(size, new):
    matrix = interpolation_matrix(np.zeros(1), size, new)
    assert matrix.shape == (new, size)
    np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=0, atol=1e-12)
    assert (matrix >= 0).all()
    assert (matrix > 1e-12).sum(axis=1).max() <= 2


@pytest.mark.parametrize("factor", [1, 2, 4, 8])
def test_the_bilinear_deconvolution_is_the_dense_one_with_a_bilinear_kernel(factor, form, dtype):
    x = numbers(2, 4, 3, 2, dtype=dtype)
    weight = bilinear(np.random.default_rng(), (2 * factor, 2 * factor, 2, 2)).astype(dtype)
    y = bilinear_transpose(x, factor)
    assert_close(y, conv_transpose2d(x, weight, stride=factor), dtype)
    dy = numbers(*y.shape, seed=1, dtype=dtype)
    assert_close(
        bilinear_transpose_backward(dy, factor), conv_transpose2d_backward(dy, x, weight, stride=factor)[0], dtype
    )


@pytest.mark.parametrize("function", [upsample_nearest, bed_of_nails])
def test_a_scale_must_be_at_least_one(function, form):
    with pytest.raises(ValueError, match="scale is 0; expected an integer or a pair of integers, each at least 1"):
        function(np.zeros((1, 2, 2, 1)), 0)
