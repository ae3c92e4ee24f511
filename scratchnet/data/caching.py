"""Keep the samples of small data sets in memory, so that their files are read once instead of in every epoch."""

from scratchnet.arrays import Array
from scratchnet.data.sample_source import SampleSource, SourceWrapper

MAX_BYTES = 1 << 29
"""Memory for the samples of a data set; larger sets are not kept."""


class CachedDataset(SourceWrapper):
    """A data set that keeps its samples in memory once they have been loaded; they are read-only.

    Reading a batch of eight images of 64×64 pixels from PNG files takes a tenth of a training step on them, and a
    photograph of twelve megapixels a fifth of a second, longer than the step on a crop of it.
    """

    def __init__(self, source: SampleSource) -> None:
        super().__init__(source)
        self._samples: dict[int, tuple[Array, Array]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the samples."""
        return self.source.names

    def __len__(self) -> int:
        return len(self.source)

    def size(self, index: int) -> tuple[int, int]:
        """Return (height, width)."""
        return self.source.size(index)

    def load(self, index: int) -> tuple[Array, Array]:
        """Return image (h, w, 3) and mask (h, w) of a sample."""
        if index not in self._samples:
            image, mask = self.source.load(index)
            image.setflags(write=False)
            mask.setflags(write=False)
            self._samples[index] = image, mask
        return self._samples[index]


def cached(source: SampleSource, max_bytes: int = MAX_BYTES) -> SampleSource:
    """Return the data set with its samples kept in memory, or unchanged if they take more than ``max_bytes``."""
    needed = 0
    for index in range(len(source)):
        h, w = source.size(index)
        needed += 4 * h * w  # three channels and the mask
        if needed > max_bytes:
            return source
    return CachedDataset(source)
