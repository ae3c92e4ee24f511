"""Interface of data sets of labelled images."""

from typing import Protocol

from scratchnet.arrays import Array


class SampleSource(Protocol):
    """An indexed data set of images with masks, for example a folder, its tiles or its resized images."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, by class index."""

    @property
    def ignore_index(self) -> int | None:
        """Mask value of ignored pixels."""

    @property
    def names(self) -> tuple[str, ...]:
        """Name of every sample, for messages, tables and output files."""

    def __len__(self) -> int:
        """Return the number of samples."""

    def size(self, index: int) -> tuple[int, int]:
        """Return (height, width) of a sample, if possible without decoding its pixels."""

    def load(self, index: int) -> tuple[Array, Array]:
        """Return image (h, w, 3) uint8 and mask (h, w) uint8 of a sample."""


class SourceWrapper:
    """Base class of data sets that are derived from another one and have the same classes."""

    def __init__(self, source: SampleSource) -> None:
        self.source = source

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.source.classes

    @property
    def ignore_index(self) -> int | None:
        """Mask value of ignored pixels."""
        return self.source.ignore_index
