"""Colour pictures of masks: class colours, overlays on photographs, error maps and pooling switches."""

import numpy as np

from scratchnet.arrays import Array
from scratchnet.data.palette import PALETTE
from scratchnet.utils.shape_checks import check_mask, check_masks, check_pair

OUTCOMES: dict[str, tuple[int, int, int]] = {
    "correct": (24, 27, 33),
    "ignored": (70, 74, 82),
    "miss": (213, 94, 0),
    "false alarm": (86, 180, 233),
    "wrong class": (240, 228, 66),
    "hit": (250, 250, 250),
}
"""Colours of an error map, in order of lightness; colour-blind readers can distinguish them, also in a grey print."""

_ROWS = 256
"""Number of rows of an overlay that are blended at a time."""


def colorize(mask: Array) -> Array:
    """Return the picture (h, w, 3) uint8 of a mask (h, w) uint8 in the common palette."""
    check_mask("colorize", mask)
    colours: Array = PALETTE[mask]
    return colours


def overlay(
    image: Array, mask: Array, alpha: float = 0.45, ignore_index: int | None = 255, palette: Array = PALETTE
) -> Array:
    """Draw the classes over an image: a tint inside, and a line along the border.

    Class 0 and ignored pixels are unchanged. The line is inside its class and one pixel wide, or two in images whose
    shorter side has 400 pixels or more.

    Parameters
    ----------
    image : Array
        (h, w, 3) uint8.
    mask : Array
        (h, w) uint8 class indices.
    alpha : float
        Opacity of the tint, 0 to 1.
    ignore_index : int or None
        Mask value without a class.
    palette : (256, 3) uint8
        Colours of the classes.

    Returns
    -------
    (h, w, 3) uint8

    Raises
    ------
    ValueError
        If image and mask differ in size.
    """
    check_pair("overlay", image, mask)
    width = 2 if min(mask.shape) >= 400 else 1
    mixed = np.empty(image.shape, np.uint8)
    for top in range(0, len(mask), _ROWS):  # blending needs forty times the memory of the result
        first = max(0, top - width)
        part = mask[first : top + _ROWS + width]
        line = _borders(part, width)[top - first :][:_ROWS]
        rows = slice(top, top + _ROWS)
        mixed[rows] = _mixed(image[rows], mask[rows], line, alpha, ignore_index, palette)
    return mixed


def _mixed(image: Array, mask: Array, line: Array, alpha: float, ignore_index: int | None, palette: Array) -> Array:
    """Return some rows of an overlay; ``line`` (h, w) bool marks the border lines."""
    shown = mask != 0
    if ignore_index is not None:
        shown &= mask != ignore_index
    share = (alpha * shown + (1 - alpha) * (line & shown))[..., None]  # (h, w, 1): alpha inside, 1 on the line, else 0
    mixed: Array = np.rint((1 - share) * image + share * palette[mask]).astype(np.uint8)
    return mixed


def error_map(truth: Array, prediction: Array, ignore_index: int | None = 255, background: int | None = 0) -> Array:
    """Return a picture of the correct pixels and the kinds of errors, in the colours of `OUTCOMES`.

    Parameters
    ----------
    truth, prediction : Array
        (h, w) uint8 class indices.
    ignore_index : int or None
        Value of ignored pixels in ``truth``.
    background : int or None
        The background class. Predicting another class there is a false alarm, predicting background elsewhere is a
        miss, and a correct prediction elsewhere is a hit. None if there is no background class (as in a street
        scene): pixels are then correct or of the wrong class.

    Returns
    -------
    (h, w, 3) uint8

    Raises
    ------
    ValueError
        If the masks differ in size.
    """
    check_masks("error_map", truth, prediction)
    right, never = truth == prediction, np.zeros(truth.shape, bool)
    nothing_there = truth == background if background is not None else never
    nothing_found = prediction == background if background is not None else never
    ignored = truth == ignore_index if ignore_index is not None else never
    # np.select takes the first condition that holds
    cases = {
        "ignored": ignored,
        "correct": right & (nothing_there if background is not None else True),
        "hit": right,
        "false alarm": nothing_there,
        "miss": nothing_found,
    }
    codes = np.select(list(cases.values()), list(range(len(cases))), default=len(cases))
    colours = np.array([OUTCOMES[name] for name in (*cases, "wrong class")], np.uint8)
    picture: Array = colours[codes]
    return picture


def outcome_legend(errors: Array, background: int | None = 0) -> dict[str, tuple[int, int, int]]:
    """Return name → colour of the outcomes that occur in an error map (…, 3), or in a stack of several."""
    present = {tuple(colour) for colour in np.unique(errors.reshape(-1, 3), axis=0).tolist()}
    names = {name: "correct background" if name == "correct" and background is not None else name for name in OUTCOMES}
    return {names[name]: colour for name, colour in OUTCOMES.items() if colour in present}


def switch_colours(kernel: int) -> Array:
    """Return one colour (kernel·kernel, 3) uint8 for each position in a pooling window, row by row.

    The top row is blue, the bottom row orange and yellow, the left side dark, the right side light; larger windows
    interpolate between the four corners. A colour thus shows the position of the maximum.
    """
    if kernel < 1:
        raise ValueError(f"switch_colours: expected a window of at least 1, got {kernel}")
    corners = np.array([[(0, 90, 160), (120, 200, 245)], [(200, 75, 0), (250, 215, 80)]], np.float64)
    step = np.linspace(0.0, 1.0, kernel)
    rows = corners[0] + step[:, None, None] * (corners[1] - corners[0])  # (kernel, 2, 3)
    square = rows[:, :1] + step[None, :, None] * (rows[:, 1:] - rows[:, :1])  # (kernel, kernel, 3)
    colours: Array = np.rint(square.reshape(-1, 3)).astype(np.uint8)
    return colours


def colorize_switches(switches: Array, kernel: int) -> Array:
    """Return the picture (h, w, 3) uint8 of switches (h, w) uint8, each row·kernel + column within its window.

    Raises
    ------
    ValueError
        If a switch is outside the window.
    """
    check_mask("colorize_switches", switches, "switches")
    colours = switch_colours(kernel)
    if switches.size and switches.max() >= len(colours):
        raise ValueError(f"colorize_switches: switch {switches.max()} in a {kernel}×{kernel} window")
    picture: Array = colours[switches]
    return picture


def _borders(mask: Array, width: int) -> Array:
    """Return (h, w) bool: pixels with another class at most ``width`` pixels above, below, left or right of them."""
    border = np.zeros(mask.shape, bool)
    for distance in range(1, width + 1):
        below = mask[distance:] != mask[:-distance]
        beside = mask[:, distance:] != mask[:, :-distance]
        border[distance:] |= below
        border[:-distance] |= below
        border[:, distance:] |= beside
        border[:, :-distance] |= beside
    return border
