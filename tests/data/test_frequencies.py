from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from scratchnet.data import ClassCounts, class_frequencies, median_frequency_weights, open_dataset, write_mask


def test_worked_example() -> None:
    counts = ClassCounts(4, ignore_index=255)
    counts.add(np.array([[0, 0, 0, 1]], np.uint8))
    counts.add(np.array([[0, 2, 2, 255]], np.uint8))
    # Class 1 occurs in the first image only, class 2 in the second, class 3 nowhere.
    assert counts.pixels.tolist() == [4, 1, 2, 0]
    assert counts.images.tolist() == [2, 1, 1, 0]
    assert counts.ignored == 1
    assert counts.frequencies() == pytest.approx([4 / 8, 1 / 4, 2 / 4, np.nan], nan_ok=True)
    assert counts.median_frequency_weights() == pytest.approx([1, 2, 1, 0])


def test_no_masks_give_no_weights() -> None:
    assert ClassCounts(2).median_frequency_weights().tolist() == [0, 0]


def test_from_files(make_folder: Callable[..., Path]) -> None:
    root = make_folder("ab")
    write_mask(root / "masks" / "a.png", np.zeros((6, 8), np.uint8))
    second = np.zeros((6, 8), np.uint8)
    second[:3, :4] = 1
    write_mask(root / "masks" / "b.png", second)
    dataset = open_dataset(root)
    assert class_frequencies(dataset) == pytest.approx([84 / 96, 12 / 48])
    weights = median_frequency_weights(dataset)
    assert weights == pytest.approx([0.5625 / 0.875, 0.5625 / 0.25])
    assert weights.dtype == np.float64
