"""Measurements of objects: size, position, shape and colour, in pixels and in micrometres.

The columns of a table of objects are

- ``object``, ``class``: its number and the name of its class;
- ``area_px``: its pixels; ``area_um2``: the same in µm²;
- ``centroid_row_px``, ``centroid_column_px``: the mean position of its pixels; the first row and column are 0;
- ``perimeter_px``: length of the line through the centres of its outermost pixels, with diagonal steps of √2;
- ``equivalent_diameter_px``: diameter of the disc of the same area;
- ``major_axis_px``, ``minor_axis_px``, ``eccentricity``: axes, and distance between the foci over the major axis (0 for
  a disc), of the ellipse with the same second moments;
- ``solidity``: its area over that of its convex hull;
- ``at_border``: 1 if it touches the image's border, so that a part of it may be missing, else 0;
- ``mean_red``, ``mean_green``, ``mean_blue``: mean colour of its pixels, 0 to 255.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.data import Objects
from scratchnet.measurement.requirements import check_scikit_image
from scratchnet.measurement.separation import touches_border
from scratchnet.utils.shape_checks import check_pair

LENGTHS = {
    "centroid_row": "centroid-0",
    "centroid_column": "centroid-1",
    "perimeter": "perimeter",
    "equivalent_diameter": "equivalent_diameter_area",
    "major_axis": "axis_major_length",
    "minor_axis": "axis_minor_length",
}
"""Columns that are lengths, each with scikit-image's name of the property."""

RATIOS = ("eccentricity", "solidity")
"""Columns without a unit; scikit-image has the same names."""

COLOURS = ("mean_red", "mean_green", "mean_blue")


def columns(pixel_size: float | None = None, colours: bool = False) -> list[str]:
    """Return the names of the columns of `measure_objects`, with the unit of each measurement at the end."""
    names = ["object", "class", "area_px", *(f"{name}_px" for name in LENGTHS), *RATIOS, "at_border"]
    if pixel_size is not None:
        names += ["area_um2", *(f"{name}_um" for name in LENGTHS)]
    return [*names, *COLOURS] if colours else names


def measure_objects(
    objects: Objects, classes: Sequence[str], image: Array | None = None, pixel_size: float | None = None
) -> dict[str, list[Any]]:
    """Measure the objects of one image with scikit-image's ``regionprops_table``; see the module's description.

    Parameters
    ----------
    objects : Objects
    classes : sequence of str
        Names of the classes.
    image : (h, w, 3) uint8 or None
        Adds mean colours.
    pixel_size : float or None
        Side of a pixel in µm; adds columns in µm.

    Returns
    -------
    dict of str to list
        Values of every object by column.

    Raises
    ------
    UserError
        If scikit-image is not installed.
    ValueError
        If image and objects differ in size.
    """
    check_scikit_image()
    if image is not None:
        check_pair("measure_objects", image, objects.instances)
    found = _properties(objects.instances, image)
    table = _in_pixels(objects, classes, found)
    if pixel_size is not None:
        table |= _in_micrometres(table, pixel_size)
    if image is not None:
        table |= {name: found[f"intensity_mean-{i}"].tolist() for i, name in enumerate(COLOURS)}
    return table


def _in_pixels(objects: Objects, classes: Sequence[str], found: Mapping[str, Array]) -> dict[str, list[Any]]:
    """Return the columns that every table has, from scikit-image's properties."""
    numbers = found["label"].tolist()
    return {
        "object": numbers,
        "class": [classes[objects.labels[number]] for number in numbers],
        "area_px": found["area"].astype(int).tolist(),
        **{f"{name}_px": found[key].tolist() for name, key in LENGTHS.items()},
        **{name: found[name].tolist() for name in RATIOS},
        "at_border": [int(touches_border(objects, number)) for number in numbers],
    }


def _in_micrometres(table: Mapping[str, Sequence[float]], pixel_size: float) -> dict[str, list[float]]:
    """Return the lengths and areas of a table in µm and µm²."""
    areas = {"area_um2": [area * pixel_size**2 for area in table["area_px"]]}
    return areas | {f"{name}_um": [value * pixel_size for value in table[f"{name}_px"]] for name in LENGTHS}


def _properties(instances: Array, image: Array | None) -> dict[str, Array]:
    """Return scikit-image's table."""
    from skimage.measure import regionprops_table

    wanted = ["label", "area", "centroid", *RATIOS, *(key for key in LENGTHS.values() if "-" not in key)]
    with warnings.catch_warnings():  # a hull of pixels in one line
        warnings.simplefilter("ignore")
        table: dict[str, Array] = regionprops_table(
            instances, image, [*wanted, "intensity_mean"] if image is not None else wanted
        )
    return {name: np.asarray(values) for name, values in table.items()}
