"""Padding of training images."""

import numpy as np

from scratchnet.training.padding import pad_to_stride
from tests.compare import numbers


def test_padding_continues_images_by_reflection_and_masks_by_the_ignore_label():
    x, masks = numbers(2, 18, 31, 3), np.ones((2, 18, 31), np.uint8)
    padded, target = pad_to_stride(x, masks, 16, 255)
    assert padded.shape == (2, 32, 32, 3)
    np.testing.assert_array_equal(padded[:, :18, :31], x)
    np.testing.assert_array_equal(padded[:, 18:], padded[:, 17:3:-1])
    np.testing.assert_array_equal(padded[:, :18, 31], x[:, :, 30])
    assert (target[:, :18, :31] == 1).all()
    assert (target == 255).sum() == 2 * (32 * 32 - 18 * 31)
    assert target.dtype == np.uint8


def test_padding_without_an_ignore_label_reflects_the_mask_too():
    masks = np.arange(6, dtype=np.uint8).reshape(1, 2, 3)
    _, target = pad_to_stride(np.zeros((1, 2, 3, 3)), masks, 4, None)
    np.testing.assert_array_equal(target[0], [[0, 1, 2, 2], [3, 4, 5, 5], [3, 4, 5, 5], [0, 1, 2, 2]])


def test_a_border_surrounds_the_image_and_not_the_mask():
    x, masks = numbers(2, 5, 6, 3), np.ones((2, 5, 6), np.uint8)
    padded, target = pad_to_stride(x, masks, 1, 255, valid_margin=4)
    assert target is masks
    np.testing.assert_array_equal(padded, np.pad(x, [(0, 0), (4, 4), (4, 4), (0, 0)], mode="symmetric"))
    padded, target = pad_to_stride(x, masks, 4, 255, valid_margin=4)
    assert (padded.shape, target.shape) == ((2, 16, 16, 3), (2, 8, 8))
    np.testing.assert_array_equal(padded[:, 4:9, 4:10], x)


def test_nothing_is_copied_that_fits():
    x, masks = np.zeros((1, 32, 16, 3)), np.zeros((1, 32, 16), np.uint8)
    assert pad_to_stride(x, masks, 16, 255)[0] is x
