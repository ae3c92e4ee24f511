"""A folder of pictures such as a small lab has: mixed sizes, uneven light, two classes, one of them rare and small.

    python -m benchmarks.own_images FOLDER [--count 40] [--seed 1]
    scratchnet train --data FOLDER

The ground is textured and its light uneven. Class 1 are leaves of many sizes, about a tenth of the pixels; class 2
are striped beetles of about 13 pixels, under one per cent of the pixels and absent from a third of the pictures.
Beetles lie on the ground and on leaves. Pebbles of the same size and brightness, without stripes, are background.
The folder holds no ``classes.txt`` and no lists, so that ``scratchnet train`` has to find everything itself.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from scratchnet.arrays import Array
from scratchnet.data.generated.drawing import Patch, coverage, patch_around, relative_radius, smooth_noise

LEAF, BEETLE = 1, 2
MIN_SIDE, MAX_SIDE = 150, 360
_GROUNDS = np.array([[122, 104, 82], [96, 100, 84], [148, 134, 112]], np.float32)
_LEAVES = np.array([[92, 112, 62], [128, 118, 66], [112, 96, 70]], np.float32)
_PEBBLE, _STRIPE = np.array([58, 52, 48], np.float32), np.array([150, 112, 60], np.float32)


class Picture:
    """A picture (side, side, 3) in the making, with its mask; cut to its final size at the end."""

    def __init__(self, rng: np.random.Generator, side: int) -> None:
        self.rng, self.side = rng, side
        base = _GROUNDS[rng.integers(len(_GROUNDS))] + rng.normal(0, 5, 3).astype(np.float32)
        clouds = smooth_noise(rng, (side, side), 40) * 9 + smooth_noise(rng, (side, side), 5) * 9
        self.pixels: Array = base + clouds[:, :, None]
        self.mask = np.zeros((side, side), np.uint8)

    def leaf(self) -> None:
        """Add a leaf: a lumpy ellipse with a midrib, close to the ground in brightness."""
        rng, radius = self.rng, float(self.rng.uniform(14, 46))
        patch = self._somewhere(2 * radius)
        relative = relative_radius(rng, patch.y, patch.x, radius, rng.uniform(1.3, 2.2), 0.12)
        colour = _LEAVES[rng.integers(len(_LEAVES))] + rng.normal(0, 8, 3).astype(np.float32)
        veins = np.sin(np.hypot(patch.x, patch.y) * np.float32(0.7)) * 5 + smooth_noise(rng, patch.shape, 8) * 7
        self._paint(patch, coverage(relative, radius), colour + veins[:, :, None], relative < 1, LEAF)

    def speck(self, striped: bool) -> None:
        """Add a beetle, or a pebble if it is not striped."""
        rng, radius = self.rng, float(self.rng.uniform(5, 8))
        patch = self._somewhere(2 * radius)
        angle = rng.uniform(0, np.pi)
        relative = relative_radius(rng, patch.y, patch.x, radius, rng.uniform(1.2, 1.6), 0.03)
        colour: Array = np.broadcast_to(_PEBBLE + rng.normal(0, 7, 3).astype(np.float32), (*patch.shape, 3))
        if striped:
            along = np.float32(np.cos(angle)) * patch.x + np.float32(np.sin(angle)) * patch.y
            stripes = (np.sin(along * np.float32(2 * np.pi / 4.5)) > 0)[:, :, None]
            colour = np.where(stripes, _STRIPE + rng.normal(0, 7, 3).astype(np.float32), colour)
        else:
            colour = colour + smooth_noise(rng, patch.shape, 3)[:, :, None] * 12
        inside = relative < 1
        self._paint(patch, coverage(relative, radius), colour, inside, BEETLE if striped else None)

    def photograph(self, height: int, width: int) -> tuple[Array, Array]:
        """Return the picture (height, width, 3) uint8 under uneven light and its mask."""
        rng = self.rng
        picture, mask = self.pixels[:height, :width], self.mask[:height, :width]
        down, across = rng.uniform(-0.25, 0.25, 2).astype(np.float32)
        y, x = np.linspace(-1, 1, height, dtype=np.float32), np.linspace(-1, 1, width, dtype=np.float32)
        light = rng.uniform(0.75, 1.2) + down * y[:, None] + across * x + smooth_noise(rng, (height, width), 120) * 0.06
        tint = rng.normal(1, 0.03, 3)
        noisy = picture * light[:, :, None] * tint + rng.normal(0, rng.uniform(2, 6), picture.shape)
        return np.clip(np.rint(noisy), 0, 255).astype(np.uint8), mask

    def _somewhere(self, reach: float) -> Patch:
        return patch_around(tuple(self.rng.uniform(0, self.side, 2)), reach, self.side)

    def _paint(self, patch: Patch, share: Array, colour: Array, inside: Array, label: int | None) -> None:
        rows, columns = patch.rows, patch.columns
        under = self.pixels[rows, columns]
        self.pixels[rows, columns] = under + share[:, :, None] * (colour - under)
        if label is not None:
            self.mask[rows, columns][inside] = label
        else:
            self.mask[rows, columns][inside] = 0


def draw(seed: int) -> tuple[Array, Array]:
    """Return a picture (h, w, 3) uint8 and its mask (h, w) uint8."""
    rng = np.random.default_rng(seed)
    height, width = (int(side) for side in rng.integers(MIN_SIDE, MAX_SIDE + 1, 2))
    picture = Picture(rng, max(height, width))
    area = picture.side**2 / 256**2
    for _ in range(rng.poisson(3.0 * area) + 1):
        picture.leaf()
    striped = [False] * int(rng.poisson(4 * area))
    if rng.random() < 0.67:
        striped += [True] * int(rng.integers(1, 4) * area + 1)
    for beetle in rng.permutation(striped):
        picture.speck(bool(beetle))
    return picture.photograph(height, width)


def write(folder: Path, count: int, seed: int) -> None:
    """Write pictures as JPEG and masks as PNG files."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for index in range(count):
        image, mask = draw(1000 * seed + index)
        Image.fromarray(image).save(folder / "images" / f"picture{index:03d}.jpg", quality=92)
        Image.fromarray(mask).save(folder / "masks" / f"picture{index:03d}.png")


def main() -> int:
    """Run the script."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("folder", type=Path, help="new folder")
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if arguments.folder.exists():
        sys.exit(f"{arguments.folder}: exists; name a new folder")
    write(arguments.folder, arguments.count, arguments.seed)
    print(f"wrote {arguments.count} pictures to {arguments.folder}; next: scratchnet train --data {arguments.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
