import numpy as np
import pytest

from scratchnet.data.palette import PALETTE
from scratchnet.visualization import (
    OUTCOMES,
    colorize,
    colorize_switches,
    error_map,
    outcome_legend,
    overlay,
    switch_colours,
)


def test_colorize_uses_the_palette_of_saved_masks():
    mask = np.array([[0, 1], [2, 255]], np.uint8)
    np.testing.assert_array_equal(colorize(mask), PALETTE[mask])


def test_overlay_leaves_background_and_ignored_pixels_alone():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (20, 30, 3)).astype(np.uint8)
    mask = np.zeros((20, 30), np.uint8)
    mask[5:15, 5:15] = 1
    mask[5:15, 20:25] = 255
    before = image.copy()
    result = overlay(image, mask)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(result[mask != 1], image[mask != 1])


def test_overlay_draws_a_tint_and_an_opaque_line():
    image = np.full((20, 30, 3), 100, np.uint8)
    mask = np.zeros((20, 30), np.uint8)
    mask[5:15, 5:15] = 2
    result = overlay(image, mask, alpha=0.25)
    np.testing.assert_array_equal(result[10, 10], np.rint(0.75 * 100 + 0.25 * PALETTE[2]))
    line = (result == PALETTE[2]).all(axis=-1)
    assert line[5, 5:15].all()
    assert line[14, 5:15].all()
    assert line[5:15, 5].all()
    assert line[5:15, 14].all()
    assert line.sum() == 36  # one pixel wide
    large = np.zeros((400, 400), np.uint8)
    large[100:200, 100:200] = 2
    wide = (overlay(np.zeros((400, 400, 3), np.uint8), large) == PALETTE[2]).all(axis=-1)
    assert wide[100:102, 150].all()
    assert not wide[102, 150]


def test_overlay_and_error_map_refuse_other_sizes():
    with pytest.raises(ValueError, match=r"overlay: the image has shape \(4, 5, 3\), the mask \(4, 4\)"):
        overlay(np.zeros((4, 5, 3), np.uint8), np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError, match="error_map: truth has shape"):
        error_map(np.zeros((4, 5), np.uint8), np.zeros((4, 4), np.uint8))


def outcome(truth, prediction, **options):
    colour = error_map(np.array([[truth]], np.uint8), np.array([[prediction]], np.uint8), **options)[0, 0]
    return next(name for name, value in OUTCOMES.items() if value == tuple(colour))


@pytest.mark.parametrize(
    ("truth", "prediction", "expected"),
    [
        (0, 0, "correct"),
        (1, 1, "hit"),
        (0, 1, "false alarm"),
        (1, 0, "miss"),
        (1, 2, "wrong class"),
        (255, 0, "ignored"),
        (255, 1, "ignored"),
    ],
)
def test_every_outcome_of_an_error_map(truth, prediction, expected):
    assert outcome(truth, prediction) == expected


def test_without_a_background_pixels_are_right_or_wrong():
    options = {"background": None, "ignore_index": 11}
    pairs = {(0, 0): "correct", (3, 3): "correct", (0, 3): "wrong class", (3, 0): "wrong class", (11, 3): "ignored"}
    assert {pair: outcome(*pair, **options) for pair in pairs} == pairs


def test_outcomes_differ_in_a_grey_print():
    lightness = np.array(list(OUTCOMES.values())) @ (0.299, 0.587, 0.114)
    assert np.diff(lightness).min() > 30


def test_outcome_legend_names_what_occurs():
    errors = error_map(np.array([[0, 1]], np.uint8), np.array([[0, 0]], np.uint8))
    assert outcome_legend(errors) == {"correct background": OUTCOMES["correct"], "miss": OUTCOMES["miss"]}
    assert list(outcome_legend(errors, background=None)) == ["correct", "miss"]


@pytest.mark.parametrize("kernel", [1, 2, 3, 4])
def test_every_switch_has_its_own_colour(kernel):
    colours = switch_colours(kernel)
    assert colours.shape == (kernel * kernel, 3)
    assert len({tuple(colour) for colour in colours.tolist()}) == kernel * kernel


def test_switch_colours_of_a_large_window_keep_the_corners():
    two, three = switch_colours(2), switch_colours(3)
    np.testing.assert_array_equal(three[[0, 2, 6, 8]], two)


def test_colorize_switches():
    switches = np.array([[0, 3], [2, 1]], np.uint8)
    np.testing.assert_array_equal(colorize_switches(switches, 2), switch_colours(2)[switches])
    with pytest.raises(ValueError, match="switch 3 in a 1×1 window"):
        colorize_switches(switches, 1)
    with pytest.raises(ValueError, match="at least 1"):
        switch_colours(0)
