"""Some samples of a data set, as a data set of their own."""

from collections.abc import Sequence

from scratchnet.arrays import Array
from scratchnet.data.sample_source import SampleSource, SourceWrapper


class SourceSubset(SourceWrapper):
    """Samples of another data set.

    Parameters
    ----------
    source : SampleSource
    indices : sequence of int
        Indices of the samples in ``source``.
    """

    def __init__(self, source: SampleSource, indices: Sequence[int]) -> None:
        super().__init__(source)
        self.indices = indices
        self.names = tuple(source.names[index] for index in indices)

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.indices)

    def size(self, index: int) -> tuple[int, int]:
        """Return (height, width) of a sample."""
        return self.source.size(self.indices[index])

    def load(self, index: int) -> tuple[Array, Array]:
        """Return image (h, w, 3) uint8 and mask (h, w) uint8 of a sample."""
        return self.source.load(self.indices[index])
