"""Samples that are kept in memory: the same values, read once."""

import numpy as np

from scratchnet.data import Augmentation, epoch_batches
from scratchnet.data.caching import CachedDataset, cached
from tests.tiny import Source, sample


class Counting(Source):
    """A source that counts how often each sample is read."""

    def __init__(self, pairs):
        super().__init__(pairs)
        self.reads = [0] * len(pairs)

    def load(self, index):
        self.reads[index] += 1
        image, mask = self.pairs[index]
        return image.copy(), mask.copy()


def test_samples_are_read_once_and_stay_as_they_are():
    source = Counting([sample(index) for index in range(4)])
    kept = cached(source)
    assert isinstance(kept, CachedDataset)
    assert (len(kept), kept.names, kept.size(1), kept.classes) == (4, source.names, (16, 16), source.classes)
    every = Augmentation(True, True, True, (12, 12), (0.8, 1.2), 1.0, 0.2, 0.2, 0.2, 0.1, 0.1, 0.5, 0.5, 0.5)
    for epoch in range(3):
        for one, other in zip(
            epoch_batches(kept, 2, 0, epoch, every), epoch_batches(source, 2, 0, epoch, every), strict=True
        ):
            np.testing.assert_array_equal(one[0], other[0])
            np.testing.assert_array_equal(one[1], other[1])
    direct = Counting([sample(index) for index in range(4)])
    kept = cached(direct)
    for _ in range(3):
        for images, _ in epoch_batches(kept, 4, 0, 0):
            images[...] = 0  # a batch belongs to its receiver
    assert direct.reads == [1] * 4
    np.testing.assert_array_equal(kept.load(2)[0], sample(2)[0])


def test_sets_that_are_too_large_are_not_kept():
    source = Counting([sample(index) for index in range(4)])
    assert cached(source, 4 * 4 * 256 - 1) is source
    assert cached(source, 4 * 4 * 256) is not source
