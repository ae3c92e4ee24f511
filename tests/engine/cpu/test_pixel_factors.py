import numpy as np
import pytest

from scratchnet import textbook
from scratchnet.engine.cpu import pixel_factors as fast
from scratchnet.ops.pixel_factors import pixel_factors
from tests.ops.pixel_labels import SHAPE, labels_with_ignored


@pytest.mark.parametrize("normalization", ["pixels", "weights", "sum"])
@pytest.mark.parametrize("ignore_index", [None, 255, -1, 0])
@pytest.mark.parametrize("labels", [np.uint8, np.int16, np.int64, np.uint64])
def test_chunks_give_the_bits_of_the_plain_form(labels, ignore_index, normalization, dtype, monkeypatch, cores):
    monkeypatch.setattr(fast, "CHUNK_PIXELS", 5)  # the last chunk of 24 pixels has 4
    cores(2)
    target = labels_with_ignored(3).astype(labels)
    if ignore_index != 255:
        target[target == 255] = 2
    like, settings = np.zeros(1, dtype), {"ignore_index": ignore_index, "normalization": normalization}
    found = fast.pixel_factors(target, like, 3, **settings)
    with textbook():
        expected = pixel_factors(target, like, 3, **settings)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    assert found[1].shape == SHAPE[:3]


def test_a_batch_of_ignored_pixels_has_factors_of_0():
    labels, factors = fast.pixel_factors(np.full((1, 2, 3), 255, np.uint8), np.zeros(1), 2)
    assert not labels.any()
    assert not factors.any()


@pytest.mark.parametrize("wrong", [-1, 3, 254])
def test_a_wrong_label_in_any_chunk_is_left_to_the_plain_form(wrong, monkeypatch):
    monkeypatch.setattr(fast, "CHUNK_PIXELS", 5)
    target = labels_with_ignored(3).astype(np.int64)
    target.reshape(-1)[-1] = wrong
    assert fast.pixel_factors(target, np.zeros(1), 3) is NotImplemented
    with pytest.raises(ValueError, match=f"target holds the label {wrong}; expected 0 … 2 or 255"):
        pixel_factors(target, np.zeros(1), 3)


def test_weights_are_left_to_the_plain_form():
    target = np.zeros((1, 2, 3), np.uint8)
    assert fast.pixel_factors(target, np.zeros(1), 2, class_weights=np.ones(2)) is NotImplemented
    assert fast.pixel_factors(target, np.zeros(1), 2, pixel_weights=np.ones((1, 2, 3))) is NotImplemented
    assert fast.pixel_factors(target > 0, np.zeros(1), 2) is NotImplemented
