"""Generated blood smears, a segmentation task that no threshold solves."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from math import hypot
from typing import Literal, TypeAlias

import numpy as np
from PIL import Image, ImageFilter

from scratchnet.arrays import Array
from scratchnet.data.generated.drawing import bump, coverage, patch_around, relative_radius, smooth_noise

CellTask: TypeAlias = Literal["stained", "red"]
"""The foreground: stained (nucleated) cells, or red cells."""

CELL_CLASSES: dict[CellTask, tuple[str, str]] = {
    "stained": ("background", "stained cell"),
    "red": ("background", "red cell"),
}

# Optical densities (red, green, blue light): how strongly each dye absorbs each colour.
_HAEMOGLOBIN = np.array([[0.25, 0.40, 0.22], [0.16, 0.42, 0.30], [0.34, 0.36, 0.13], [0.20, 0.34, 0.10]], np.float32)
_CHROMATIN = np.array([[1.15, 1.90, 0.50], [0.75, 1.60, 0.30], [0.45, 1.35, 0.15]], np.float32)
_CYTOPLASM = np.array([[0.10, 0.30, 0.06], [0.26, 0.22, 0.03], [0.16, 0.34, 0.18], [0.20, 0.30, 0.12]], np.float32)


@dataclass(frozen=True)
class _Stain:
    """Appearance of a slide: dyes, and contrast of the cells.

    Attributes
    ----------
    red, chromatin, cytoplasm : (3,) float32
        Optical densities of a red cell, of a nucleus and of the cytoplasm around it.
    pallor : float
        How much thinner red cells are in their centre, 0 to 1.
    rim : float
        How much darker their outline is.
    halo : float
        Brightness of the line around a cell, caused by refraction at its edge.
    """

    red: Array
    chromatin: Array
    cytoplasm: Array
    pallor: float
    rim: float
    halo: float


def make_cells(
    rng: np.random.Generator, size: int = 128, task: CellTask = "stained", magnification: float = 1.0
) -> tuple[Array, Array]:
    """Draw a stained blood smear.

    A pixel is the lamp's light times exp(−optical density), and densities of overlapping red cells add up (Beer–Lambert
    law). Lamp, dyes, crowding, focus and noise vary. Dark nuclei are only half of the area of stained cells, whose
    cytoplasm is as bright as red cells or background.

    Parameters
    ----------
    rng : numpy Generator
    size : int
        Side of the image in pixels. Up to 128 the cells are scaled with it; larger images show more cells.
    task : {"stained", "red"}
        ``stained``: the mask is 1 on whole stained cells; about one image in ten has none. ``red``: the mask is 1 on
        red cells, including their pale centres, except under stained cells. The image does not depend on the task.
    magnification : float
        Factor on the size of the cells.

    Returns
    -------
    image : (size, size, 3) uint8
    mask : (size, size) uint8
    """
    image, mask, _ = make_cell_objects(rng, size, task, magnification)
    return image, mask


def make_cell_objects(
    rng: np.random.Generator, size: int = 128, task: CellTask = "stained", magnification: float = 1.0
) -> tuple[Array, Array, Array]:
    """Return image and mask of `make_cells`, and the number of the cell at every pixel, (size, size) int32.

    0 is no cell. Where cells of one kind overlap, the pixels belong to the one drawn last. 255 is no number, because it
    means an ignored pixel in files.
    """
    unit = min(size, 128) / 128 * magnification
    fields = (size / (128 * unit)) ** 2
    stain = _random_stain(rng)
    density = np.zeros((size, size, 3), np.float32)
    red, stained = np.zeros((size, size), np.int32), np.zeros((size, size), np.int32)
    whites = _place_white(rng, size, unit, fields)
    for number, (centre, radius) in zip(_numbers(), _place_red(rng, size, unit, whites), strict=False):
        _draw_red(rng, density, (red, number), centre, radius, stain)
    for _ in range(rng.poisson(2.5 * fields)):
        _draw_platelet(rng, density, unit, stain)
    for number, (centre, radius) in zip(_numbers(), whites, strict=False):
        _draw_white(rng, density, (stained, number), centre, radius, stain)
    numbers: Array = stained if task == "stained" else np.where(stained > 0, 0, red)
    return _photograph(rng, density, unit), (numbers > 0).astype(np.uint8), numbers


def _numbers() -> Iterator[int]:
    """Yield 1, 2, … without 255."""
    return (number for number in count(1) if number != 255)


def _random_stain(rng: np.random.Generator) -> _Stain:
    """Mix the dyes of one slide."""

    def mix(dyes: Array, spread: float) -> Array:
        shares = rng.dirichlet(np.full(len(dyes), 0.7)).astype(np.float32)
        mixed: Array = shares @ dyes * np.float32(rng.uniform(1 - spread, 1 + spread))
        return mixed

    red = mix(_HAEMOGLOBIN, 0.3)
    cytoplasm = mix(_CYTOPLASM, 0.25)
    likeness = np.float32(rng.uniform(0.0, 0.35))
    return _Stain(
        red=red,
        chromatin=mix(_CHROMATIN, 0.2),
        cytoplasm=cytoplasm + likeness * (red - cytoplasm),
        pallor=1 - rng.uniform(0, 0.95) ** 2,
        rim=rng.uniform(0.1, 0.9),
        halo=rng.uniform(0.02, 0.2),
    )


def _place_white(
    rng: np.random.Generator, size: int, unit: float, fields: float
) -> list[tuple[tuple[float, float], float]]:
    """Choose centres and radii of the stained cells: mostly one in 128 × 128 pixels, sometimes two or none."""
    count = int(rng.choice(3, p=(0.1, 0.72, 0.18))) if fields < 2 else int(rng.poisson(0.6 * fields))
    margin = 15 * unit
    placed: list[tuple[tuple[float, float], float]] = []
    for _ in range(count):
        radius = rng.uniform(22, 35) * unit
        for _ in range(20):
            y, x = rng.uniform(margin, size - margin, 2).tolist()
            if all(hypot(y - cy, x - cx) > 0.95 * (radius + r) for (cy, cx), r in placed):
                placed.append(((y, x), radius))
                break
    return placed


def _place_red(
    rng: np.random.Generator, size: int, unit: float, whites: list[tuple[tuple[float, float], float]]
) -> list[tuple[tuple[float, float], float]]:
    """Choose centres and radii of the red cells; some slides are crowded with overlapping cells, others sparse."""
    typical = rng.uniform(14, 20) * unit
    crowding = rng.uniform(0.5, 1.3)
    closeness = rng.uniform(0.75, 1.0)
    placed: list[tuple[tuple[float, float], float]] = []
    attempts = int(4 * crowding * (size + 2 * typical) ** 2 / (np.pi * typical**2))
    positions = rng.uniform(-typical, size + typical, (attempts, 2)).tolist()
    radii = (typical * rng.normal(1, 0.09, attempts)).tolist()
    for (y, x), radius in zip(positions, radii, strict=True):
        near_red = any(hypot(y - cy, x - cx) < closeness * (radius + r) for (cy, cx), r in placed)
        near_white = any(hypot(y - cy, x - cx) < 0.92 * (radius + r) for (cy, cx), r in whites)
        if near_white or (near_red and rng.random() > 0.06):
            continue
        placed.append(((y, x), radius))
        if len(placed) >= attempts // 4:
            break
    return placed


def _draw_red(
    rng: np.random.Generator,
    density: Array,
    marked: tuple[Array, int],
    centre: tuple[float, float],
    radius: float,
    stain: _Stain,
) -> None:
    """Add a red cell: a disc with a thin centre, a dark rim and a bright line around it.

    ``marked`` is an array of cell numbers (size, size), and the number that is written to it.
    """
    patch = patch_around(centre, 1.6 * radius, len(density))
    if 0 in patch.shape:
        return
    stretch = 1 + abs(rng.normal(0, 0.22))
    relative = relative_radius(rng, patch.y, patch.x, radius, stretch, 0.08)
    inside = coverage(relative, radius, 1.5)
    # The hollow is off centre and has a different shape.
    y, x = (axis - np.float32(rng.normal(0, 0.08 * radius)) for axis in (patch.y, patch.x))
    hollow = relative_radius(rng, y, x, radius * rng.uniform(0.4, 0.68), rng.uniform(1, 1.7), 0)
    pallor = np.float32(np.clip(stain.pallor + rng.normal(0, 0.15), 0, 1))
    thickness = 1 - pallor * np.exp(-(hollow**4)) + np.float32(stain.rim) * bump(relative, 0.92, 0.09)
    thickness = thickness * inside * np.float32(rng.uniform(0.85, 1.15))
    thickness -= np.float32(stain.halo) * bump(relative, 1 + 3 / radius, 2 / radius)
    density[patch.rows, patch.columns] += thickness[:, :, None] * stain.red
    marked[0][patch.rows, patch.columns][inside > 0.5] = marked[1]


def _draw_platelet(rng: np.random.Generator, density: Array, unit: float, stain: _Stain) -> None:
    """Add a platelet, a small grainy speck of the nucleus's dye, or a nearly black speck of dye."""
    size = len(density)
    radius = rng.uniform(1.8, 5.0) * unit
    patch = patch_around((rng.uniform(0, size), rng.uniform(0, size)), 2.5 * radius, size)
    if 0 in patch.shape:
        return
    relative = relative_radius(rng, patch.y, patch.x, radius, 1 + abs(rng.normal(0, 0.4)), 0.25)
    grains = np.clip(0.75 + 0.3 * smooth_noise(rng, patch.shape, 2 * unit), 0.2, 1.5)
    strength = np.float32(rng.uniform(0.25, 0.8))
    speck = coverage(relative, radius, 2.5) * grains * strength
    density[patch.rows, patch.columns] += speck[:, :, None] * stain.chromatin


def _draw_white(
    rng: np.random.Generator,
    density: Array,
    marked: tuple[Array, int],
    centre: tuple[float, float],
    radius: float,
    stain: _Stain,
) -> None:
    """Draw a stained cell over the image: pale, grainy cytoplasm and a dark nucleus of one to five lobes.

    ``marked`` as in `_draw_red`.
    """
    patch = patch_around(centre, 1.6 * radius, len(density))
    if 0 in patch.shape:
        return
    relative = relative_radius(rng, patch.y, patch.x, radius, 1 + abs(rng.normal(0, 0.13)), 0.07)
    inside = coverage(relative, radius, 2.0)
    nucleus = _nucleus(rng, patch.y, patch.x, radius, relative)
    grain = np.float32(rng.uniform(0.05, 0.4)) * smooth_noise(rng, patch.shape, rng.uniform(1.6, 3.2) * radius / 26)
    clouds = np.float32(0.14) * smooth_noise(rng, patch.shape, 0.5 * radius)
    rim = np.float32(rng.uniform(-0.15, 0.35)) * bump(relative, 0.95, 0.12)
    body = np.clip(1 + grain + clouds + rim, 0.15, 2)[:, :, None] * stain.cytoplasm
    chromatin = np.clip(1 + np.float32(0.12) * smooth_noise(rng, patch.shape, 0.2 * radius), 0.5, 1.5)
    cell = body + (nucleus * chromatin)[:, :, None] * stain.chromatin
    below = density[patch.rows, patch.columns]
    below += inside[:, :, None] * (cell - below)
    marked[0][patch.rows, patch.columns][inside > 0.5] = marked[1]


def _nucleus(rng: np.random.Generator, y: Array, x: Array, radius: float, cell: Array) -> Array:
    """Return the coverage of every pixel by the nucleus: round, bent, or several lobes joined by thin bridges."""
    form = rng.choice(3, p=(0.35, 0.2, 0.45))
    distance = np.full(cell.shape, np.inf, np.float32)
    if form == 0:
        lobes, lobe, orbit, span = 1, rng.uniform(0.58, 0.86), rng.uniform(0, 0.18), 0.0
    elif form == 1:
        lobes, lobe, orbit, span = 5, rng.uniform(0.29, 0.38), rng.uniform(0.36, 0.46), rng.uniform(2.2, 4.2)
    else:
        lobes, lobe = int(rng.integers(2, 6)), rng.uniform(0.29, 0.4)
        orbit, span = rng.uniform(0.34, 0.5), rng.uniform(3.0, 6.0)
    start = rng.uniform(0, 2 * np.pi)
    for number in range(lobes):
        angle = start + span * (number / max(lobes - 1, 1))
        lobe_radius = lobe * rng.uniform(0.85, 1.12) if form == 2 else lobe
        away = orbit * (rng.uniform(0.8, 1.15) if form == 2 else 1)
        dy, dx = np.float32(radius * away * np.sin(angle)), np.float32(radius * away * np.cos(angle))
        relative = relative_radius(rng, y - dy, x - dx, lobe_radius * radius, 1 + abs(rng.normal(0, 0.2)), 0.12)
        edge = (relative - 1) * np.float32(lobe_radius * radius)
        distance = _smooth_minimum(distance, edge, np.float32(0.09 * radius))
    within_cell = (cell - np.float32(0.95)) * np.float32(radius)
    covered: Array = np.clip(0.5 - np.maximum(distance, within_cell) / np.float32(2), 0, 1)
    return covered


def _smooth_minimum(a: Array, b: Array, blend: np.float32) -> Array:
    """Return min(a, b), smoothed where they differ by less than ``blend``, which joins lobes by bridges."""
    overlap = np.maximum(blend - np.abs(a - b), 0) / blend
    minimum: Array = np.minimum(a, b) - overlap * overlap * blend / 4
    return minimum


def _photograph(rng: np.random.Generator, density: Array, unit: float) -> Array:
    """Convert optical density to an image with uneven light, colour balance, blur and sensor noise."""
    size = len(density)
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    y, x = axis[:, None], axis[None, :]
    down, across = (np.float32(rng.normal(0, 0.05)) for _ in range(2))
    vignette = np.float32(rng.uniform(0, 0.12))
    light: Array = 1 + down * y + across * x - vignette * (y * y + x * x)
    light += np.float32(0.01) * smooth_noise(rng, (size, size), 0.5 * size)
    balance = rng.normal(1, 0.025, 3) * np.array([0.98, 1.0, 0.96 - abs(rng.normal(0, 0.045))])
    lamp = np.float32(255 * rng.uniform(0.74, 1.0)) * balance.astype(np.float32)
    picture = lamp * light[:, :, None] * np.exp(-density)
    blurred = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).filter(
        ImageFilter.GaussianBlur(rng.uniform(0.3, 1.2) * unit)
    )
    noise = np.float32(rng.uniform(0.8, 3.5)) * rng.standard_normal(density.shape, dtype=np.float32)
    return np.clip(np.rint(np.asarray(blurred, np.float32) + noise), 0, 255).astype(np.uint8)
