"""Where on the image does each value of a network look, and do maps that are joined look at the same place?

Every value is followed through the list by its grid: the image position of the middle of its first cell, and how far
its cells are apart. Only the geometry of the layers is used. The published offsets of FCN's crops, of U-Net's, and the
alignment of every sum and concatenation follow from it, or else this fails.
"""

import numpy as np
import pytest

from scratchnet.layers import (
    Add,
    BilinearTranspose2d,
    Concatenate,
    Conv2d,
    ConvTranspose2d,
    Crop,
    MaxPool2d,
    MaxUnpool2d,
    UpsampleNearest,
)
from scratchnet.models import build
from tests.compare import numbers


def grid_after(layer, grids):  # noqa: PLR0911
    """Return (spacing, first) of a layer's output; vertical axis, which all models treat as the horizontal one."""
    spacing, first = grids[0]
    if isinstance(layer, (Conv2d, MaxPool2d)):
        reach = getattr(layer, "dilation", (1, 1))[0] * (layer.kernel[0] - 1)
        return spacing * layer.stride[0], first + spacing * (reach / 2 - layer.padding[0])
    if isinstance(layer, ConvTranspose2d):
        fine = spacing / layer.stride[0]
        return fine, first - fine * (layer.dilation[0] * (layer.kernel[0] - 1) / 2 - layer.padding[0])
    if isinstance(layer, BilinearTranspose2d):
        fine = spacing / layer.factor
        return fine, first - fine * (2 * layer.factor - 1) / 2
    if isinstance(layer, UpsampleNearest):
        fine = spacing / layer.scale[0]
        return fine, first - fine * (layer.scale[0] - 1) / 2
    if isinstance(layer, MaxUnpool2d):
        return grids[1]
    if isinstance(layer, Crop):
        return spacing, first + spacing * layer.offset[0]
    if isinstance(layer, (Add, Concatenate)):
        assert len(set(grids)) == 1, grids
    return spacing, first


def grids_of(net):
    found = {"input": (1.0, 0.0)}
    for step in net.steps:
        taken = [found[name] for name in step.inputs]
        found[step.name] = grid_after(step.layer, taken)
        if isinstance(step.layer, MaxPool2d):
            found[f"{step.name}.switches"] = taken[0]
    return found


ALIGNED = [
    ("bloodcell", {"unpool": "switches"}),
    ("bloodcell", {"unpool": "nearest"}),
    ("deconvnet", {}),
    *(("segnet", {"unpool": u}) for u in ("switches", "nearest", "transposed")),
    ("segnet-basic", {}),
    ("squares", {}),
    *(
        (f"fcn{k}s", {"padding": p, "upsampling": u})
        for k in (32, 16, 8)
        for p in ("paper", "same")
        for u in ("fixed", "learned")
    ),
    *(("unet", {"depth": d}) for d in (1, 2, 3, 4, 5)),
    ("unet-same", {}),
    ("dilated-fcn", {}),
    ("sliding-window", {}),
]


@pytest.mark.parametrize(("name", "options"), ALIGNED, ids=str)
def test_every_score_sits_on_its_pixel_and_joined_maps_lie_on_one_another(name, options):
    net = build(name, 2, width=1 if name in ("squares", "deconvnet-small") else 1 / 64, **options)
    found = grids_of(net)
    assert found[net.steps[-1].name] == (1.0, net.valid_margin)


def test_a_crop_off_by_one_would_be_noticed():
    net = build("fcn8s", 2, width=1 / 64)
    crop = next(step.layer for step in net.steps if step.name == "score_pool4c")
    crop.offset = (6, 6)
    with pytest.raises(AssertionError):
        grids_of(net)


def test_the_published_offsets():
    offsets = {
        name: [step.layer.offset[0] for step in build(name, 2, width=1 / 64).steps if isinstance(step.layer, Crop)]
        for name in ("fcn32s", "fcn16s", "fcn8s", "unet")
    }
    assert offsets == {"fcn32s": [19], "fcn16s": [5, 27], "fcn8s": [5, 9, 31], "unet": [4, 16, 40, 88, 0]}


# The same with numbers: a network that passes its maximum on, and a ramp. ---------------------------------------------


def passing_on(name, padding, upsampling):
    """FCN whose convolutions pass their first channel on from the middle of the kernel; scores are added up."""
    net = build(name, 2, 1, width=1 / 64, padding=padding, upsampling=upsampling).allocate(0, np.float64).eval()
    for key, parameter in net.parameters().items():
        if key.startswith(("conv", "fc", "score")) and key.endswith("weight"):
            kh, kw = parameter.shape[:2]
            parameter.value[...] = 0
            parameter.value[kh // 2, kw // 2, 0, 0] = 1
    return net


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("upsampling", ["fixed", "learned"])
@pytest.mark.parametrize("padding", ["paper", "same"])
@pytest.mark.parametrize(("name", "pools"), [("fcn32s", [32]), ("fcn16s", [32, 16]), ("fcn8s", [32, 16, 8])])
def test_a_ramp_comes_out_where_it_went_in(name, pools, padding, upsampling, axis):
    """The maximum of s pixels of a ramp is (s − 1)/2 above their middle; interpolation keeps a ramp a ramp."""
    size = (353, 65) if axis == 1 else (65, 353)
    ramp = np.arange(353.0).reshape((1, -1, 1, 1) if axis == 1 else (1, 1, -1, 1)) + 1
    net = passing_on(name, padding, upsampling)
    scores = net.forward(np.broadcast_to(ramp, (1, *size, 1)).copy())[..., 0]
    expected = sum(ramp[..., 0] + (s - 1) / 2 for s in pools)
    far = slice(96, -96)  # from the ends of the ramp; across it one line is enough
    inside = (0, far, 32) if axis == 1 else (0, 32, far)
    np.testing.assert_allclose(scores[inside], np.broadcast_to(expected, scores.shape)[inside], rtol=1e-12)


@pytest.mark.parametrize("name", ["fcn16s", "fcn8s"])
def test_learned_upsampling_starts_as_the_fixed_one(name):
    x = numbers(1, 40, 33, 3, dtype=np.float32)
    fixed, learned = (build(name, 3, width=1 / 64, upsampling=u).allocate(0).eval() for u in ("fixed", "learned"))
    for key, parameter in fixed.parameters().items():
        parameter.value[...] += 0.1 * numbers(*parameter.shape, seed=1)
        learned.parameters()[key].value[...] = parameter.value
    expected = fixed.forward(x)
    np.testing.assert_allclose(learned.forward(x), expected, rtol=0, atol=1e-5 * np.abs(expected).max())
