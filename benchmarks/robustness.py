"""Measure how much worse networks segment images that another microscope or laboratory could have taken.

    python benchmarks/robustness.py CHECKPOINT … --data FOLDER [--split val] [--flip]

CHECKPOINT is a file or the name of a network in the box. The images of the split are changed in the ways below, each
alone and the same for all networks, and segmented. Prints the Dice coefficient of class 1, from the pixels of all
images, for each change and network. Masks are changed by scaling only.
"""

import argparse
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from scratchnet.arrays import Array, generator
from scratchnet.data import Dataset, open_dataset
from scratchnet.data.resizing import resize_image, resize_mask
from scratchnet.inference import Segmenter
from scratchnet.training import load_checkpoint


def inverted(image: Array) -> Array:
    """Return the negative."""
    return 255 - image


def other_dye(image: Array) -> Array:
    """Swap red and blue: violet becomes brownish orange."""
    return np.ascontiguousarray(image[..., ::-1])


def grey(image: Array) -> Array:
    """Return the mean of the colours."""
    return np.repeat(np.rint(image.mean(2, keepdims=True)).astype(np.uint8), 3, axis=2)


def dim(image: Array) -> Array:
    """Return a third of the brightness, as after a short exposure."""
    return (image // 3).astype(np.uint8)


def noisy(image: Array) -> Array:
    """Add Gaussian noise with a standard deviation of 12 grey levels."""
    noise = generator(0, "noise").normal(0, 12, image.shape)
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)


def compressed(image: Array) -> Array:
    """Return the image after JPEG of quality 30."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=30)
    return np.array(Image.open(file))


def uneven(image: Array) -> Array:
    """Multiply by a factor from 0.4 on the left to 1 on the right."""
    factor = np.linspace(0.4, 1, image.shape[1])[None, :, None]
    return np.rint(image * factor).astype(np.uint8)


COLOURS = [inverted, other_dye, grey, dim, uneven, noisy, compressed]
SCALES = [0.5, 0.71, 1.41, 2.0]


def scaled(image: Array, mask: Array, factor: float) -> tuple[Array, Array]:
    """Return an image and its mask at another magnification."""
    size = round(image.shape[0] * factor), round(image.shape[1] * factor)
    return resize_image(image, size), resize_mask(mask, size)


def dice(segmenter: Segmenter, pairs: Iterable[tuple[Array, Array]]) -> float:
    """Return the Dice coefficient of class 1, from the pixels of all images."""
    both = total = 0
    for image, mask in pairs:
        found = segmenter.segment(image) == 1
        both += int((found & (mask == 1)).sum())
        total += int(found.sum()) + int((mask == 1).sum())
    return 2 * both / total


def changed(images: Dataset) -> Iterator[tuple[str, list[tuple[Array, Array]]]]:
    """Yield each change with all images and masks under it."""
    pairs = [images.load(index) for index in range(len(images))]
    yield "unchanged", pairs
    for factor in SCALES:
        yield f"scaled by {factor:g}", [scaled(*pair, factor) for pair in pairs]
    for change in COLOURS:
        yield change.__name__.replace("_", " "), [(change(image), mask) for image, mask in pairs]


def main() -> None:
    """Print the table for the checkpoints that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="val")
    parser.add_argument("--flip", action="store_true")
    a = parser.parse_args()
    images = open_dataset(a.data, split=a.split, mask_format="binary")
    loaded = [load_checkpoint(word) for word in a.checkpoints]
    segmenters = [Segmenter(c.network, c.spec.preprocessing, flip=a.flip) for c in loaded]
    for name, pairs in changed(images):
        print(f"{name:<14}" + "".join(f"  {dice(segmenter, pairs):.4f}" for segmenter in segmenters), flush=True)


if __name__ == "__main__":
    main()
