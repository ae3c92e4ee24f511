import numpy as np
import pytest

from scratchnet.data import PALETTE
from scratchnet.data.palette import palette_with


def test_palette_colours_differ() -> None:
    assert PALETTE.shape == (256, 3)
    assert PALETTE[0].tolist() == [0, 0, 0]
    assert len(np.unique(PALETTE, axis=0)) == 256


NO_RED = [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
NO_GREEN = [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
"""Linear RGB as seen without one kind of cones (Machado, Oliveira and Fernandes 2009)."""


OKLAB = (
    [[0.41222147, 0.53633254, 0.05144599], [0.2119035, 0.68069955, 0.10739696], [0.08830246, 0.28171884, 0.6299787]],
    [[0.21045426, 0.7936178, -0.00407205], [1.9779985, -2.4285922, 0.4505937], [0.02590404, 0.78277177, -0.80867577]],
)
"""From linear RGB to cones, and from their cube roots to lightness and two axes of colour (Ottosson 2020)."""


def nearest(colours: np.ndarray, sight: np.ndarray) -> float:
    """Return the smallest distance between two colours in Oklab."""
    srgb = colours / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.transpose(sight), 0, 1)
    places = np.cbrt(seen @ np.transpose(OKLAB[0])) @ np.transpose(OKLAB[1])
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    return float(apart[np.triu_indices(len(colours), 1)].min())


@pytest.mark.parametrize("sight", [np.eye(3), NO_RED, NO_GREEN], ids=["all cones", "no red", "no green"])
def test_colours_differ_for_all_kinds_of_colour_vision(sight: np.ndarray) -> None:
    """Ten as well as Okabe's and Ito's eight; those of Pascal VOC's 21 classes nearly so."""
    eight = nearest(PALETTE[:8], sight)
    assert nearest(PALETTE[:10], sight) == eight
    assert nearest(PALETTE[:21], sight) > 0.7 * eight
    assert nearest(PALETTE[[*range(21), 255]], sight) > 0.7 * eight


@pytest.mark.parametrize(
    "colours", [[[1, 2]], [[1, 2, 300]], "red", [["a", "b", "c"]], [[0, 0, 0]] * 257, [[-1, 0, 0]]]
)
def test_invalid_colours(colours):
    with pytest.raises(ValueError, match=r"colours of classes|inhomogeneous"):
        palette_with(colours)
