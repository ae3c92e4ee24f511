import sys

import numpy as np
import pytest

from scratchnet.measurement import Separation, separate_objects
from scratchnet.utils.errors import UserError

WHOLE = Separation(split=False)


def mask():
    """Two squares of class 1, one of class 2 beside the second, a speck, and one in the corner."""
    made = np.zeros((30, 40), np.uint8)
    made[3:9, 3:9] = 1
    made[12:20, 12:16] = 1
    made[12:20, 16:22] = 2
    made[25, 30] = 1
    made[26:30, 36:40] = 2
    return made


def test_regions_of_different_classes_are_different_objects():
    found = separate_objects(mask(), WHOLE)
    assert found.objects.labels == {1: 1, 2: 1, 3: 2, 4: 2}
    assert np.bincount(found.objects.instances.ravel()).tolist() == [1200 - 36 - 32 - 48 - 16, 36, 32, 48, 16]
    assert (found.small, found.excluded) == (1, 0)


def test_small_objects_and_those_at_the_border_are_counted_apart():
    found = separate_objects(mask(), WHOLE._replace(exclude_border=True, min_area=33))
    assert found.objects.labels == {1: 1, 2: 2}
    assert (found.small, found.excluded) == (3, 0)  # the corner is too small before it is at the border
    found = separate_objects(mask(), WHOLE._replace(exclude_border=True, min_area=1))
    assert len(found.objects.labels) == 4
    assert (found.small, found.excluded) == (0, 1)


def test_ignored_pixels_and_another_background():
    made = mask()
    made[3:9, 3:6] = 255
    sizes = np.bincount(separate_objects(made, WHOLE).objects.instances.ravel())
    assert sizes[1] == 18
    assert set(separate_objects(made, WHOLE, ignore_index=None).objects.labels.values()) == {1, 2, 255}
    assert set(separate_objects(made, WHOLE, background=None).objects.labels.values()) == {0, 1, 2}


def test_an_empty_mask():
    found = separate_objects(np.zeros((5, 7), np.uint8), WHOLE)
    assert (found.objects.labels, found.small, found.excluded) == ({}, 0, 0)


def test_touching_classes_are_not_joined_by_splitting():
    pytest.importorskip("skimage")
    assert separate_objects(mask()).objects.labels == {1: 1, 2: 1, 3: 2, 4: 2}


def test_splitting_without_scikit_image_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.measure", None)
    with pytest.raises(UserError, match="needs scikit-image, which is not installed; pip install scikit-image"):
        separate_objects(mask())
    separate_objects(mask(), WHOLE)
