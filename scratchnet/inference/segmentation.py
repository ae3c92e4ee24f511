"""Segmentation of an image of any size with bounded memory.

A network requires sizes that are multiples of its stride, and its activations grow with the image. So

- a small image is padded by reflection to the next multiple, and the result is cropped;
- a large image is cut into overlapping tiles, whose probabilities are blended to avoid seams; they are completed row by
  row, so the memory is that of one row of tiles, besides the image and the result;
- a network with one fixed input size (DeconvNet, whose fully connected layers see the whole image) always gets tiles
  of that size, which overlap by half;
- for a network whose output is smaller than its input (U-Net's convolutions are unpadded), the image is padded by
  reflection, and its tiles include their true surroundings: the overlap-tile strategy of Ronneberger et al. 2015.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from scratchnet.arrays import Array, to_device_of, to_host
from scratchnet.data import Preprocessing, tile_grid
from scratchnet.data.image_rows import ImageRows
from scratchnet.data.tiling import stitched_rows
from scratchnet.engine.capture.captured_network import CapturedNetwork
from scratchnet.inference.maps import resize_maps
from scratchnet.losses import class_scores, probabilities
from scratchnet.network import Network
from scratchnet.utils.errors import UserError
from scratchnet.utils.options import option
from scratchnet.utils.shape_checks import check_image, check_images
from scratchnet.utils.wording import pixels

Output: TypeAlias = Callable[[Array], Array]
"""Function that converts a network's output to the values averaged over tiles: probabilities or scores."""

Reader: TypeAlias = Callable[[Array, Array], Array]
"""Function (indices of rows, indices of columns) → these preprocessed pixels, (1, rows, columns, 3) float32."""

MAX_UNTILED_SIDE = 544
"""Images with no side above this many pixels are segmented whole."""

TILE, OVERLAP = 448, 128
"""Side and overlap of the tiles of larger images, in pixels."""


@dataclass(frozen=True)
class Segmenter:
    """A network with the preprocessing of its training images.

    Attributes
    ----------
    network : Network
        A network in evaluation mode.
    preprocessing : Preprocessing
        The preprocessing of the training.
    tile, overlap : int or None
        Side and overlap of tiles, in pixels; for None see the module docstring.
    flip : bool
        Whether to average with the result on the mirrored image.

    Raises
    ------
    UserError
        If the network does not accept such tiles.
    """

    network: Network
    preprocessing: Preprocessing
    tile: int | None = None
    overlap: int | None = None
    flip: bool = False
    _captured: CapturedNetwork = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_captured", CapturedNetwork(self.network))
        stride, fixed = self.network.stride, self.network.fixed_size
        if self.tile is None and self.overlap is None:
            return
        if fixed is not None:
            raise UserError(
                f"this network takes {fixed[0]}×{fixed[1]} tiles only; leave out {option('tile')} and "
                f"{option('overlap')}"
            )
        overlap = option("overlap", self.overlap)
        if self.tile is None:
            raise UserError(f"{overlap}: needs {option('tile')}, the side of the tiles that overlap")
        if self.tile < stride:
            raise UserError(f"{option('tile', self.tile)}: this network needs tiles of at least {stride} pixels")
        side = self.tile // stride * stride
        if self.overlap is not None and not 0 <= self.overlap < side:
            raise UserError(f"{overlap}: expected 0 to {side - 1}, less than the tiles' side of {side}")

    def segment(self, image: Array) -> Array:
        """Return the most probable class of every pixel: (h, w, 3) uint8 → (h, w) uint8."""
        check_image("Segmenter.segment", image)
        if self.takes_rows(*image.shape[:2]):
            return np.concatenate([to_mask(maps) for maps in self.probability_rows(ImageRows.from_array(image))])
        return to_host(to_mask(self.probabilities(image[None])[0]))

    def probabilities(self, images: Array, names: Sequence[str] = ()) -> Array:
        """Return the probability of every class at every pixel.

        Parameters
        ----------
        images : (n, h, w, 3) uint8
        names : sequence of str
            Names of the images, which have no effect here.

        Returns
        -------
        (n, h, w, classes) float32
            On the GPU if the network is on one and the images need neither tiles nor resizing.

        Raises
        ------
        UserError
            If the images are smaller than the network's stride.
        """
        return self._predict(images, probabilities)

    def scores(self, images: Array, names: Sequence[str] = ()) -> Array:
        """Return the scores, whose softmax is `probabilities`, with the same parameters and errors."""
        return self._predict(images, class_scores)

    def crops(self, images: Array) -> Array:
        """Return the scores (n, h, w, classes) of images small enough for one batch."""
        return to_host(self._run(self.framed(self.preprocessing.apply(images)), class_scores))

    @property
    def one_by_one(self) -> bool:
        """Whether every image needs its own pass, because batch norm would mix the images of a batch."""
        return any(layer.uses_batch for layer in self.network.batch_norms().values())

    def check(self, image: Array, name: str = "") -> None:
        """Raise a UserError if an image (h, w, 3) is too small for the network."""
        check_image("Segmenter.check", image)
        self.check_size(*image.shape[:2])

    def takes_rows(self, h: int, w: int) -> bool:
        """Return whether an image of ``h × w`` pixels is cut into tiles, none of which depends on the whole image."""
        whole = self.preprocessing.resize is not None or self.preprocessing.normalization == "image"
        return not whole and self._tile_size(h, w) is not None

    def probability_rows(self, image: ImageRows) -> Iterator[Array]:
        """Yield the result of `probabilities` for an image that `takes_rows`, from top to bottom.

        Parameters
        ----------
        image : ImageRows

        Yields
        ------
        (rows, w, classes) float32
            Parts of the result; the memory is that of one row of tiles.
        """
        self.check_size(image.height, image.width)
        return self._rows(image.height, image.width, self._reader(image), probabilities)

    def _predict(self, images: Array, output: Output) -> Array:
        check_images("Segmenter", images)
        h, w = images.shape[1:3]
        self.check_size(h, w)
        if self.takes_rows(h, w):
            readers = [self._reader(ImageRows.from_array(image)) for image in images]
            return _stacked([self._rows(h, w, read, output) for read in readers], h)
        x = self.preprocessing.apply(images)
        height, width = x.shape[1:3]
        if self._tile_size(height, width) is not None:
            maps = _stacked([self._rows(height, width, _reader_of(one), output) for one in x], height)
        elif self.one_by_one:
            maps = np.stack([to_host(self._run(self.framed(one[None]), output)[0]) for one in x])
        else:
            maps = self._run(self.framed(x), output)
        return resize_maps(maps, (h, w))

    def check_size(self, h: int, w: int) -> None:
        """Raise a UserError if an image of ``h × w`` pixels is too small for the network."""
        if self.preprocessing.resize is None:
            self.check_network_size(h, w)

    def check_network_size(self, h: int, w: int) -> None:
        """Raise a UserError if ``h × w`` pixels, after any resizing, are too few for the network."""
        stride = self.network.stride
        if min(h, w) < stride:
            raise UserError(
                f"the image is {pixels(h, w)}, but the network halves images down to 1/{stride}: it needs at least "
                f"{stride}×{stride} pixels; enlarge the image"
            )

    def framed(self, x: Array) -> Array:
        """Pad preprocessed images by reflection, with the border that the network crops."""
        b = self.network.valid_margin
        return np.pad(x, [(0, 0), (b, b), (b, b), (0, 0)], mode="symmetric") if b else x

    def padded(self, x: Array) -> Array:
        """Pad framed images by reflection, at the bottom and right, to a size that the network accepts."""
        both = 2 * self.network.valid_margin
        height, width = self.network.fixed_size or self._multiples(x.shape[1] - both, x.shape[2] - both)
        return _reflected(x, (height + both, width + both))

    def _tile_size(self, h: int, w: int) -> tuple[int, int] | None:
        """Return (tile, overlap), or None for an image that is segmented whole."""
        stride, fixed = self.network.stride, self.network.fixed_size
        if fixed == (h, w) or (fixed is None and self.tile is None and max(h, w) <= MAX_UNTILED_SIDE):
            return None
        side, overlap = TILE, OVERLAP
        if fixed is not None:
            side, overlap = fixed[0], fixed[0] // 2
        elif self.tile is not None:
            side = self.tile // stride * stride
            overlap = side // 4 if self.overlap is None else self.overlap
        # Tiles begin at multiples of the stride, as the pooling windows of the whole image do.
        return side, min(-(-overlap // stride) * stride, side - stride)

    def _rows(self, h: int, w: int, read: Reader, output: Output) -> Iterator[Array]:
        """Yield maps (rows, w, classes) of one image of ``h × w`` pixels in tiles, from top to bottom."""
        size = self._tile_size(h, w)
        assert size is not None
        height, width = self._multiples(h, w)
        windows, b = tile_grid(height, width, *size), self.network.valid_margin
        rows, columns = _reflected_indices(h, height, b), _reflected_indices(w, width, b)

        def maps() -> Iterator[Array]:
            for top, left, tall, wide in windows:
                x = read(rows[top : top + tall + 2 * b], columns[left : left + wide + 2 * b])
                yield to_host(self._run(x, output)[0])

        remaining = h
        for found in stitched_rows(maps(), windows, height, width):
            if remaining > 0:
                yield found[:remaining, :w]
            remaining -= len(found)

    def _reader(self, image: ImageRows) -> Reader:
        """Return a function that reads and preprocesses tiles of an image; it caches the rows of the last tile."""
        cached, pixels = (0, 0), image.rows(0, 0)

        def read(rows: Array, columns: Array) -> Array:
            nonlocal cached, pixels
            needed = int(rows.min()), int(rows.max()) + 1
            if needed != cached:
                cached, pixels = needed, image.rows(*needed)
            return self.preprocessing.apply(pixels[np.ix_(rows - needed[0], columns)][None])

        return read

    def _run(self, x: Array, output: Output) -> Array:
        """Return the maps (n, h, w, classes) of framed images, averaged with the mirrored ones if ``flip`` is set."""
        maps = self._pass(x, output)
        if self.flip:
            maps = 0.5 * (maps + self._pass(np.ascontiguousarray(x[:, :, ::-1]), output)[:, :, ::-1])
        return maps

    def _pass(self, x: Array, output: Output) -> Array:
        both = 2 * self.network.valid_margin
        h, w = x.shape[1] - both, x.shape[2] - both
        there = to_device_of(self.network.flat().values, self.padded(x))
        logits = self._captured.forward(there, keep=False)
        return output(logits[:, :h, :w])

    def _multiples(self, h: int, w: int) -> tuple[int, int]:
        """Return the next multiples of the stride."""
        stride = self.network.stride
        return -(-h // stride) * stride, -(-w // stride) * stride


def _reflected(x: Array, size: Sequence[int]) -> Array:
    """Pad images at the bottom and right by reflection to ``size``."""
    extra = [(0, 0), (0, size[0] - x.shape[1]), (0, size[1] - x.shape[2]), (0, 0)]
    return np.pad(x, extra, mode="symmetric") if extra[1][1] or extra[2][1] else x


def _reflected_indices(length: int, padded: int, valid_margin: int) -> Array:
    """Return the pixel index at each position of a side that is padded by reflection, at its end and then all round."""
    indices = np.pad(np.arange(length), (0, padded - length), mode="symmetric")
    return np.pad(indices, valid_margin, mode="symmetric")


def _reader_of(x: Array) -> Reader:
    """Return a function that reads tiles of a preprocessed image (h, w, c)."""
    return lambda rows, columns: x[np.ix_(rows, columns)][None]


def _stacked(images: Sequence[Iterable[Array]], height: int) -> Array:
    """Assemble the rows of the maps of several images of one size: (n, height, w, classes)."""
    whole: Array | None = None
    for i, parts in enumerate(images):
        top = 0
        for rows in parts:
            if whole is None:
                whole = np.empty((len(images), height, *rows.shape[1:]), rows.dtype)
            whole[i, top : top + len(rows)] = rows
            top += len(rows)
    assert whole is not None
    return whole


def to_mask(probabilities: Array) -> Array:
    """Return the most probable class of (…, classes) as (…) uint8, on the same device."""
    mask: Array = probabilities.argmax(axis=-1)
    return mask.astype(np.uint8)
