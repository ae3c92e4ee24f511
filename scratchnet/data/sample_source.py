"""What the rest of the package expects of a set of labelled images."""

from typing import Protocol

from scratchnet.arrays import Array


class SampleSource(Protocol):
    """A numbered set of images with masks: a folder, its tiles, its resized copies."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; the position is the class index."""

    @property
    def ignore_index(self) -> int | None:
        """Mask value of pixels that do not count."""

    @property
    def names(self) -> tuple[str, ...]:
        """One name a sample, for messages, tables and output files."""

    def __len__(self) -> int:
        """Return the number of samples."""

    def size(self, index: int) -> tuple[int, int]:
        """Return (height, width) of a sample, without decoding its pixels where that is possible."""

    def load(self, index: int) -> tuple[Array, Array]:
        """Return image (h, w, 3) uint8 and mask (h, w) uint8 of a sample."""


class SourceWrapper:
    """What is the same in all sets that show another set's samples in another form."""

    def __init__(self, source: SampleSource) -> None:
        self.source = source

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.source.classes

    @property
    def ignore_index(self) -> int | None:
        """Mask value of pixels that do not count."""
        return self.source.ignore_index
