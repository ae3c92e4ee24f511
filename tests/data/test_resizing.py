from collections.abc import Callable
from pathlib import Path

import numpy as np

from scratchnet.data import open_dataset, resize_image, resize_mask, resized


def test_masks_invent_no_labels() -> None:
    mask = np.where(np.indices((16, 16)).sum(axis=0) % 3 == 0, 3, 1).astype(np.uint8)
    for size in ((5, 7), (40, 33)):
        smaller = resize_mask(mask, size)
        assert smaller.shape == size
        assert set(np.unique(smaller)) <= {1, 3}


def test_image_and_mask_keep_their_places() -> None:
    mask = np.zeros((20, 30), np.uint8)
    mask[4:12, 9:21] = 1
    image = np.repeat(mask[:, :, None] * 255, 3, axis=2).astype(np.uint8)
    for size in ((60, 90), (10, 15)):
        larger_image, larger_mask = resize_image(image, size), resize_mask(mask, size)
        assert ((larger_image[:, :, 0] > 127) == larger_mask).mean() > 0.95


def test_own_size_changes_nothing() -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 6, 3)).astype(np.uint8)
    assert resize_image(image, (5, 6)) is image


def test_resized_dataset(make_folder: Callable[..., Path]) -> None:
    source = open_dataset(make_folder())
    dataset = resized(source, (12, 10))
    assert len(dataset) == 4
    assert (dataset.names, dataset.classes, dataset.ignore_index) == (source.names, source.classes, 255)
    image, mask = dataset.load(2)
    assert image.shape == (12, 10, 3)
    assert mask.shape == dataset.size(2) == (12, 10)
