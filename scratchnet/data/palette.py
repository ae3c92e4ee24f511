"""Colours of the classes in masks, overlays and figures."""

import colorsys

import numpy as np

from scratchnet.arrays import Array


def _make_palette() -> Array:
    """Return the colours of the 256 classes, (256, 3) uint8.

    The first eight are those of Okabe and Ito (2008, "Color Universal Design"), which can be distinguished with any
    kind of colour vision. Each of the next 24 is as different as possible from all earlier ones, both for trichromats
    and for dichromats. The others step round the colour circle by the golden ratio, so that neighbours differ.
    """
    okabe_ito = "000000 e69f00 56b4e9 009e73 f0e442 0072b2 d55e00 cc79a7"
    further = (
        "492208 2f087d 972263 08e597 8a63ff 086315 7015be 8a6356 97b18a be3ccb be0808 d8beff "
        "560849 08498a ff7de5 a4ffb1 97d8cb a4d808 08493c ff5663 63568a cb70ff d8a4b1 8a8a49"
    )
    colours = [tuple(bytes.fromhex(colour)) for colour in f"{okabe_ito} {further}".split()]
    for index in range(len(colours), 256):
        lightness, saturation = (0.35, 0.5, 0.65)[index % 3], (0.75, 0.55)[index // 3 % 2]
        red, green, blue = colorsys.hls_to_rgb(index * 0.618034 % 1, lightness, saturation)
        colours.append((round(red * 255), round(green * 255), round(blue * 255)))
    colours[255] = (232, 232, 228)
    return np.array(colours, dtype=np.uint8)


PALETTE = _make_palette()
"""(256, 3) uint8: the colour of every class. Class 0 is black, 255 (ignored) nearly white."""


def palette_with(colours: object) -> Array:
    """Return `PALETTE` with its first colours replaced by ``colours`` (n, 3), or unchanged if they are None.

    ValueError unless ``colours`` are at most 256 triples of integers from 0 to 255.
    """
    palette = PALETTE.copy()
    if colours is not None:
        given = np.array(colours)
        if given.ndim != 2 or given.shape[1] != 3 or len(given) > 256 or given.dtype.kind not in "iu":
            raise ValueError("colours of classes: expected three integers per class")
        if given.min() < 0 or given.max() > 255:
            raise ValueError("colours of classes: expected numbers from 0 to 255")
        palette[: len(given)] = given
    return palette
