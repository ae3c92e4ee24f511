"""Batches as a network receives them."""

from types import SimpleNamespace

import numpy as np

from scratchnet.data import BorderWeights, Preprocessing
from scratchnet.training.batches import BatchLoader, TrainingData
from scratchnet.training.distributed.process_group import SingleProcess
from tests.tiny import source


def loader(count=5, batch_size=2, ranks=None, border_weights=None, **network):
    data = TrainingData(source(count, 16, 18), source(1), border_weights=border_weights)
    shape = {"stride": 8, "valid_margin": 0, "ignore_index": 255, **network}
    return BatchLoader(data, Preprocessing("none"), batch_size, 0, ranks or SingleProcess(), **shape)


def test_only_whole_batches_are_loaded():
    batches = loader()
    assert len(batches) == 2
    assert [len(images) for images, _ in batches.load(0)] == [2, 2]
    assert len(loader(count=3, batch_size=100)) == 1


def test_a_batch_is_divided_between_the_ranks():
    whole, _ = next(iter(loader(4, 4).load(0)))
    parts = [next(iter(loader(4, 4, SimpleNamespace(rank=rank, size=2)).load(0)))[0] for rank in (0, 1)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_images_are_padded_to_the_stride_and_framed_by_the_margin():
    batches = loader(valid_margin=4)
    x, masks = batches.prepare(*next(iter(batches.load(0))))
    assert x.shape == (2, 16 + 8, 24 + 8, 3)
    assert masks.shape == (2, 16, 24)
    assert (masks[:, :, 18:] == 255).all()


def test_a_batch_is_split_image_by_image_with_its_weights():
    batches = loader(border_weights=BorderWeights())
    batch = next(iter(batches.load_weighted(0)))
    (whole,) = batches.split(1, batch, per_image=False)
    parts = batches.split(1, batch, per_image=True)
    assert whole.weights.shape == whole.target.shape
    assert [len(part.x) for part in parts] == [1, 1]
    for name in ("x", "target", "weights"):
        np.testing.assert_array_equal(np.concatenate([getattr(p, name) for p in parts]), getattr(whole, name))
