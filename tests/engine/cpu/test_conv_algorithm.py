"""Which algorithm is chosen for which shape: forward, and for both gradients."""

import numpy as np
import pytest

from scratchnet.engine.cpu import convolution
from scratchnet.engine.cpu.conv_algorithm import MIN_CHANNELS, MIN_TILES, Algorithm, choose
from scratchnet.engine.modes import precise, textbook
from scratchnet.ops.convolution import conv2d, conv2d_input_gradient, conv2d_weight_gradient
from scratchnet.ops.geometry import ConvSpec
from tests.compare import numbers


def chosen(x, weight, dtype=np.float32, **settings):
    """Choose for arrays that are never touched."""
    arrays = [np.broadcast_to(np.zeros((), dtype), shape) for shape in (x, weight)]
    settings = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1} | settings
    conv = ConvSpec.of(arrays[1], **settings)
    return choose(*arrays, conv, x[1:3])


SAME = {"padding": 1}

# x, weight, settings, form in float32, form without Winograd
CASES = {
    "3×3 of a VGG": ((1, 56, 56, 128), (3, 3, 128, 128), SAME, Algorithm.WINOGRAD4, Algorithm.IM2COL),
    "3×3 unpadded": ((1, 58, 58, 64), (3, 3, 64, 64), {}, Algorithm.WINOGRAD4, Algorithm.IM2COL),
    "3×3 padded by 2": ((1, 54, 54, 64), (3, 3, 64, 64), {"padding": 2}, Algorithm.WINOGRAD4, Algorithm.IM2COL),
    "3×3 padded by 3": ((1, 54, 54, 64), (3, 3, 64, 64), {"padding": 3}, Algorithm.WINOGRAD4, Algorithm.IM2COL),
    "14×14 wastes a tile of 4 on the edge": (
        (8, 14, 14, 512),
        (3, 3, 512, 512),
        SAME,
        Algorithm.WINOGRAD4,
        Algorithm.IM2COL,
    ),
    "maps of 2 fit the small tile": ((64, 2, 2, 64), (3, 3, 64, 64), SAME, Algorithm.WINOGRAD2, Algorithm.IM2COL),
    "maps of 6 fit the small tile": ((64, 6, 6, 64), (3, 3, 64, 64), SAME, Algorithm.WINOGRAD2, Algorithm.IM2COL),
    "few tiles": ((1, 14, 14, 320), (3, 3, 320, 320), SAME, Algorithm.IM2COL, Algorithm.IM2COL),
    "few pixels, large kernels": (
        (1, 14, 14, 512),
        (3, 3, 512, 512),
        SAME,
        Algorithm.WHOLE_IM2COL,
        Algorithm.WHOLE_IM2COL,
    ),
    "more pixels than filters": ((2, 17, 17, 512), (3, 3, 512, 512), SAME, Algorithm.WINOGRAD4, Algorithm.IM2COL),
    "large kernels that slide over few pixels": (
        (4, 11, 11, 128),
        (7, 7, 128, 1024),
        {},
        Algorithm.WHOLE_IM2COL,
        Algorithm.WHOLE_IM2COL,
    ),
    "large kernels in groups": ((1, 14, 14, 2048), (3, 3, 1024, 2048), SAME | {"groups": 2}, *2 * [Algorithm.IM2COL]),
    "few channels in": ((1, 224, 224, 3), (3, 3, 3, 64), SAME, Algorithm.IM2COL, Algorithm.IM2COL),
    "few channels out": ((1, 224, 224, 64), (3, 3, 64, 2), SAME, Algorithm.FEW_FILTERS, Algorithm.FEW_FILTERS),
    "few channels both ways": ((1, 224, 224, 7), (3, 3, 7, 7), SAME, Algorithm.IM2COL, Algorithm.IM2COL),
    "7×7 to few": ((1, 64, 64, 64), (7, 7, 64, 4), {"padding": 3}, Algorithm.FEW_FILTERS, Algorithm.FEW_FILTERS),
    "dilated to few": (
        (1, 64, 64, 64),
        (3, 3, 64, 4),
        {"padding": 2, "dilation": 2},
        Algorithm.FEW_FILTERS,
        Algorithm.FEW_FILTERS,
    ),
    "strided to few": ((1, 64, 64, 64), (3, 3, 64, 4), {"stride": 2}, Algorithm.IM2COL, Algorithm.IM2COL),
    "stride 2": ((1, 56, 56, 64), (3, 3, 64, 64), {"stride": 2, "padding": 1}, Algorithm.IM2COL, Algorithm.IM2COL),
    "4×4 stride 2": ((4, 56, 56, 64), (4, 4, 64, 64), {"padding": 1, "stride": 2}, Algorithm.FOLDED, Algorithm.IM2COL),
    "4×4 stride 2 of a small map": (
        (1, 28, 28, 64),
        (4, 4, 64, 64),
        {"padding": 1, "stride": 2},
        Algorithm.IM2COL,
        Algorithm.IM2COL,
    ),
    "4×4 stride 2 of few channels": (
        (4, 112, 112, 31),
        (4, 4, 31, 64),
        {"padding": 1, "stride": 2},
        Algorithm.IM2COL,
        Algorithm.IM2COL,
    ),
    "2×2 stride 2": ((4, 112, 112, 64), (2, 2, 64, 64), {"stride": 2}, Algorithm.IM2COL, Algorithm.IM2COL),
    "6×6 stride 3": ((4, 112, 112, 64), (6, 6, 64, 64), {"stride": 3}, Algorithm.IM2COL, Algorithm.IM2COL),
    "dilation 2": (
        (1, 56, 56, 64),
        (3, 3, 64, 64),
        {"dilation": 2, "padding": 2},
        Algorithm.WINOGRAD4,
        Algorithm.IM2COL,
    ),
    "dilation 4": (
        (1, 24, 24, 64),
        (3, 3, 64, 64),
        {"dilation": 4, "padding": 4},
        Algorithm.WINOGRAD2,
        Algorithm.IM2COL,
    ),
    "phases of one pixel": (
        (1, 8, 8, 64),
        (3, 3, 64, 64),
        {"dilation": 8, "padding": 8},
        Algorithm.IM2COL,
        Algorithm.IM2COL,
    ),
    "dilated 7×7": ((1, 56, 56, 64), (7, 7, 64, 64), {"dilation": 4}, Algorithm.IM2COL, Algorithm.IM2COL),
    "dilation 2, stride 2": (
        (1, 56, 56, 64),
        (3, 3, 64, 64),
        {"dilation": 2, "stride": 2},
        Algorithm.IM2COL,
        Algorithm.IM2COL,
    ),
    "5×5": ((1, 56, 56, 64), (5, 5, 64, 64), {"padding": 2}, Algorithm.WINOGRAD4, Algorithm.IM2COL),
    "7×7": ((1, 56, 56, 32), (7, 7, 32, 32), {"padding": 3}, Algorithm.WINOGRAD4, Algorithm.IM2COL),
    "7×7 of few channels": ((1, 128, 128, 8), (7, 7, 8, 8), {"padding": 3}, Algorithm.WINOGRAD4, Algorithm.IM2COL),
    "7×7 of few channels and tiles": (
        (1, 28, 28, 32),
        (7, 7, 32, 32),
        {"padding": 3},
        Algorithm.IM2COL,
        Algorithm.IM2COL,
    ),
    "7×7 of very few channels": ((1, 56, 56, 7), (7, 7, 7, 64), {"padding": 3}, Algorithm.IM2COL, Algorithm.IM2COL),
    "6×6": ((1, 61, 61, 64), (6, 6, 64, 64), {}, Algorithm.WINOGRAD4, Algorithm.IM2COL),
    "3×5": ((1, 56, 56, 64), (3, 5, 64, 64), {"padding": (1, 2)}, Algorithm.WINOGRAD4, Algorithm.IM2COL),
    "9×9": ((1, 56, 56, 64), (9, 9, 64, 64), {"padding": 4}, Algorithm.WINOGRAD4, Algorithm.IM2COL),
    "7×7 stride 2": ((4, 56, 56, 64), (7, 7, 64, 64), {"padding": 3, "stride": 2}, Algorithm.FOLDED, Algorithm.IM2COL),
    "4×4": ((1, 56, 56, 64), (4, 4, 64, 64), {}, Algorithm.WINOGRAD4, Algorithm.IM2COL),
    "2×2": ((1, 56, 56, 64), (2, 2, 64, 64), {}, Algorithm.IM2COL, Algorithm.IM2COL),
    "1×7": ((1, 56, 56, 64), (1, 7, 64, 64), {}, Algorithm.IM2COL, Algorithm.IM2COL),
    "1×1": ((1, 56, 56, 64), (1, 1, 64, 256), {}, Algorithm.PRODUCT, Algorithm.PRODUCT),
    "1×1 to one": ((1, 56, 56, 64), (1, 1, 64, 1), {}, Algorithm.PRODUCT, Algorithm.PRODUCT),
    "1×1 stride 2": ((1, 56, 56, 64), (1, 1, 64, 256), {"stride": 2}, Algorithm.IM2COL, Algorithm.IM2COL),
    "1×1 padded": ((1, 56, 56, 64), (1, 1, 64, 256), {"padding": 1}, Algorithm.IM2COL, Algorithm.IM2COL),
    "fully connected": ((2, 7, 7, 512), (7, 7, 512, 4096), {}, Algorithm.PRODUCT, Algorithm.PRODUCT),
    "3×3 over a map of 3": ((2, 3, 3, 64), (3, 3, 64, 64), {}, Algorithm.PRODUCT, Algorithm.PRODUCT),
    "as large as the map, padded": ((2, 7, 7, 64), (7, 7, 64, 64), {"padding": 3}, Algorithm.IM2COL, Algorithm.IM2COL),
    "depthwise": (
        (1, 56, 56, 64),
        (3, 3, 1, 64),
        {"padding": 1, "groups": 64},
        Algorithm.DEPTHWISE,
        Algorithm.DEPTHWISE,
    ),
    "two filters a channel": ((1, 56, 56, 64), (3, 3, 1, 128), {"groups": 64}, Algorithm.IM2COL, Algorithm.IM2COL),
    "two groups": ((1, 56, 56, 64), (3, 3, 32, 64), {"groups": 2}, Algorithm.IM2COL, Algorithm.IM2COL),
    "1×1 in groups": ((1, 56, 56, 64), (1, 1, 32, 64), {"groups": 2}, Algorithm.IM2COL, Algorithm.IM2COL),
}


@pytest.mark.parametrize("case", CASES)
def test_the_form_for_a_shape(case):
    x, weight, settings, fast, plain = CASES[case]
    assert chosen(x, weight, **settings) is fast
    assert chosen(x, weight, np.float64, **settings) is plain  # float64 is there to be compared with
    with precise():
        assert chosen(x, weight, **settings) is plain
    assert chosen(x, weight, **settings) is fast


def test_the_thresholds():
    c = MIN_CHANNELS
    assert chosen((1, 64, 64, c), (3, 3, c, c), **SAME) is Algorithm.WINOGRAD4
    assert chosen((1, 64, 64, c - 1), (3, 3, c - 1, c), **SAME) is Algorithm.IM2COL
    assert chosen((1, 64, 64, 4 * c), (3, 3, 4 * c, c - 1), **SAME) is Algorithm.FEW_FILTERS
    assert chosen((1, 64, 64, c), (3, 3, c, c - 1), **SAME) is Algorithm.IM2COL
    assert chosen((MIN_TILES, 4, 4, 64), (3, 3, 64, 64), **SAME) is Algorithm.WINOGRAD4
    assert chosen((MIN_TILES - 1, 4, 4, 64), (3, 3, 64, 64), **SAME) is Algorithm.IM2COL


def test_only_winograds_forms_have_a_tile():
    assert (Algorithm.WINOGRAD2.tile, Algorithm.WINOGRAD4.tile) == (2, 4)


@pytest.mark.parametrize(
    "form",
    ["winograd", "large_kernels", "folded", "dilated", "few_filters", "depthwise", "im2col", "product", "subpixel"],
)
def test_textbook_and_precise_really_go_the_plain_way(monkeypatch, form):
    """The forms are made to fail, and must not be asked."""

    def fail(*_, **__):
        raise AssertionError("this form was used")

    shapes = {
        "winograd": ((1, 32, 32, 8), (3, 3, 8, 8), {"padding": 1}),
        "dilated": ((1, 32, 32, 8), (3, 3, 8, 8), {"padding": 2, "dilation": 2}),
        "large_kernels": ((1, 32, 32, 32), (7, 7, 32, 32), {"padding": 3}),
        "folded": ((4, 64, 64, 32), (4, 4, 32, 32), {"padding": 1, "stride": 2}),
        "few_filters": ((1, 16, 16, 8), (3, 3, 8, 1), {"padding": 1}),
        "depthwise": ((1, 16, 16, 8), (3, 3, 1, 8), {"padding": 1, "groups": 8}),
        "im2col": ((1, 16, 16, 3), (3, 3, 3, 8), {"stride": 2}),
        "product": ((1, 16, 16, 8), (1, 1, 8, 8), {}),
        "subpixel": ((1, 16, 16, 8), (4, 4, 8, 8), {"padding": 1, "stride": 2}),
    }
    x, weight, settings = shapes[form]
    x, weight = numbers(*x, dtype=np.float32), numbers(*weight, seed=1, dtype=np.float32)
    y = conv2d(x, weight, **settings)

    def run():
        conv2d(x, weight, **settings)
        conv2d_input_gradient(y, weight, x.shape[1:3], **settings)
        conv2d_weight_gradient(y, x, weight, **settings)

    names = {
        "winograd": ("convolve", "weight_gradient"),
        "subpixel": ("input_gradient",),
        "folded": ("convolve", "input_gradient", "weight_gradient"),
        "product": ("product", "product_over_rows"),
    }.get(form, ("convolve", "weight_gradient"))
    for name in names:
        module = {"product": convolution, "large_kernels": convolution.winograd}.get(form)
        monkeypatch.setattr(module or getattr(convolution, form), name, fail)
    with pytest.raises(AssertionError, match="this form was used"):
        run()
    with textbook():
        run()
    if form in ("winograd", "dilated", "large_kernels", "folded"):
        with precise():
            run()
