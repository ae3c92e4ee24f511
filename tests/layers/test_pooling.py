import numpy as np
import pytest

from scratchnet.layers import MaxPool2d, MaxUnpool2d
from tests.compare import distinct, image


def test_the_stride_is_the_kernel_unless_it_is_given():
    assert MaxPool2d((2, 3)).stride == (2, 3)
    assert MaxPool2d(3, 2).stride == (2, 2)


def test_ceil_mode_there_and_back_again():
    """SegNet: 45 rows become 23, and 45 come back."""
    pool, unpool = MaxPool2d(2, ceil_mode=True), MaxUnpool2d()
    x = distinct(1, 45, 6, 2)
    y = pool.forward(x)
    assert y.shape == pool.output_shape(x.shape) == (1, 23, 3, 2)
    restored = unpool.forward(y, pool.switches)
    assert restored.shape == unpool.output_shape(y.shape, x.shape) == x.shape


def test_unpooling_sends_gradients_back_from_the_switches():
    pool, unpool = MaxPool2d(2), MaxUnpool2d()
    pool.forward(image([[1, 2], [3, 0]]))
    unpool.forward(image([[9]]), pool.switches)
    dx, none = unpool.backward(image([[1, 10], [100, 1000]]))
    assert dx.item() == 100
    assert none is None


def test_release_forgets_the_switches():
    pool = MaxPool2d(2)
    pool.forward(np.zeros((1, 4, 4, 1)))
    assert pool.switches is not None
    pool.release()
    assert pool.switches is None


def test_shapes_that_do_not_fit():
    with pytest.raises(ValueError, match="the map has 3 channels but its switches have 4"):
        MaxUnpool2d().output_shape((1, 2, 2, 3), (1, 4, 4, 4))


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (MaxPool2d(2), "max-pool 2×2"),
        (MaxPool2d((3, 2), 2), "max-pool 3×2, stride 2"),
        (MaxUnpool2d(), "max-unpool"),
    ],
)
def test_layers_describe_themselves(layer, text):
    assert layer.describe() == text
