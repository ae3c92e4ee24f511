import numpy as np
import pytest

from scratchnet.layers import (
    Add,
    BatchNorm2d,
    BedOfNails,
    BilinearTranspose2d,
    Concatenate,
    Conv2d,
    ConvTranspose2d,
    Crop,
    Dropout,
    LocalResponseNorm,
    MaxPool2d,
    MaxUnpool2d,
    Pad,
    ReLU,
    Scale,
    UpsampleBilinear,
    UpsampleNearest,
)
from scratchnet.layers.builtin import BUILTIN
from scratchnet.ops.pooling import max_pool2d
from tests.compare import distinct, numbers

X = (2, 6, 7, 4)


def allocate(layer, dtype=np.float64):
    """Give a single layer's parameters memory of its own."""
    for i, parameter in enumerate(layer.parameters.values()):
        value = numbers(*parameter.shape, seed=i, dtype=dtype)
        parameter.bind(value, np.zeros(parameter.shape, dtype))
    return layer


def switches(dtype):
    return max_pool2d(distinct(2, 12, 15, 4, dtype=dtype), (2, 2), None, 0, False)[1]


# A layer and the inputs of its forward pass beside the first map, of which only unpooling takes another shape.
LAYERS = {
    "Conv2d": (lambda: Conv2d(4, 5, 3, 2, 1), lambda dtype: ()),
    "Conv2d without bias": (lambda: Conv2d(4, 6, (1, 3), groups=2, bias=False), lambda dtype: ()),
    "Conv2d dilated": (lambda: Conv2d(4, 6, 3, padding=2, dilation=2), lambda dtype: ()),
    "ConvTranspose2d": (lambda: ConvTranspose2d(4, 5, 3, 2, 1, 1), lambda dtype: ()),
    "ConvTranspose2d groups": (lambda: ConvTranspose2d(4, 6, 4, groups=2, bias=False), lambda dtype: ()),
    "ConvTranspose2d dilated": (lambda: ConvTranspose2d(4, 3, 3, dilation=2), lambda dtype: ()),
    "MaxPool2d": (lambda: MaxPool2d(2), lambda dtype: ()),
    "MaxPool2d overlapping": (lambda: MaxPool2d(3, 2, 1, ceil_mode=True), lambda dtype: ()),
    "MaxUnpool2d": (MaxUnpool2d, lambda dtype: (switches(dtype),)),
    "UpsampleNearest": (lambda: UpsampleNearest((2, 3)), lambda dtype: ()),
    "BedOfNails": (lambda: BedOfNails((3, 1)), lambda dtype: ()),
    "UpsampleBilinear": (lambda: UpsampleBilinear((2, 3)), lambda dtype: ()),
    "BilinearTranspose2d": (lambda: BilinearTranspose2d(4), lambda dtype: ()),
    "Scale": (lambda: Scale(0.01), lambda dtype: ()),
    "ReLU": (ReLU, lambda dtype: ()),
    "Dropout": (lambda: Dropout(0.3), lambda dtype: ()),
    "BatchNorm2d": (lambda: BatchNorm2d(4), lambda dtype: ()),
    "LocalResponseNorm": (lambda: LocalResponseNorm(3, 0.5), lambda dtype: ()),
    "Concatenate": (Concatenate, lambda dtype: (numbers(2, 6, 7, 3, dtype=dtype),)),
    "Add": (Add, lambda dtype: (numbers(*X, seed=5, dtype=dtype), numbers(*X, seed=6, dtype=dtype))),
    "Crop": (lambda: Crop((1, 2)), lambda dtype: (numbers(2, 3, 4, 1, dtype=dtype),)),
    "Crop to the middle": (Crop, lambda dtype: (numbers(2, 3, 4, 1, dtype=dtype),)),
    "Crop with a margin": (lambda: Crop(1, margin=2), lambda dtype: (numbers(2, 8, 9, 1, dtype=dtype),)),
    "Pad": (lambda: Pad((1, 2)), lambda dtype: ()),
}


KNOWN = {type(make()) for make, _ in LAYERS.values()}
LAYERS |= {
    kind.__name__: (lambda kind=kind: kind(*kind.example), lambda dtype: ()) for kind in BUILTIN if kind not in KNOWN
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_layers_tell_their_shape_and_keep_the_dtype(name, training, dtype):
    make, others = LAYERS[name]
    layer = allocate(make(), dtype)
    layer.training = training
    x = numbers(*((2, 6, 7, 4)), dtype=dtype)
    more = others(dtype)
    y = layer.forward(x, *more)
    told = [m.shape if isinstance(m, np.ndarray) else (2, *m.size, 4) for m in more]
    assert y.shape == layer.output_shape(x.shape, *told)
    assert y.dtype == dtype
    sent = layer.backward(numbers(*y.shape, seed=1, dtype=dtype))
    parts = sent if isinstance(sent, tuple) else (sent,)
    assert len(parts) == 1 + len(more)
    for part, given in zip(parts, (x, *more), strict=True):
        if part is not None:
            assert part.shape == given.shape
            assert part.dtype == dtype
    for parameter in layer.parameters.values():
        assert parameter.grad.dtype == dtype
        assert parameter.grad.any()
    for buffer in layer.buffers.values():
        assert buffer.value.shape == (4,)
    assert layer.describe()


@pytest.mark.parametrize("name", LAYERS)
def test_a_backward_uses_up_what_the_forward_kept(name):
    make, others = LAYERS[name]
    layer = allocate(make())
    layer.training = True
    y = layer.forward(numbers(*X), *others(np.float64))
    remembers = layer.saved is not None
    layer.backward(np.ones_like(y))
    assert layer.saved is None
    if remembers:
        with pytest.raises(RuntimeError, match=f"{type(layer).__name__}.backward was called without a forward"):
            layer.backward(np.ones_like(y))
        layer.forward(numbers(*X), *others(np.float64))
        layer.release()
        assert layer.saved is None


@pytest.mark.parametrize("name", LAYERS)
def test_passes_leave_their_arguments_alone(name):
    make, others = LAYERS[name]
    layer = allocate(make())
    layer.training = True
    x, more = numbers(*X), others(np.float64)
    y = layer.forward(x, *more)
    dy = numbers(*y.shape, seed=1)
    layer.backward(dy)
    np.testing.assert_array_equal(x, numbers(*X))
    np.testing.assert_array_equal(dy, numbers(*y.shape, seed=1))
    for before, after in zip(others(np.float64), more, strict=True):
        if isinstance(after, np.ndarray):
            np.testing.assert_array_equal(after, before)
