import json

import numpy as np
import pytest

from scratchnet.data import ObjectBox, Window, find_objects
from scratchnet.evaluation import DetailCounter, boundary_band, confusion_matrix, metrics

NAMES = ("background", "disc", "star")


def masks(seed=0):
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.repeat(rng.integers(0, 3, (4, 5)), 10, axis=0), 10, axis=1).astype(np.uint8)
    truth[:3] = 255
    return truth, np.roll(truth, 2, axis=1) % 3


def counted(**settings):
    counter = DetailCounter(NAMES, **settings)
    for index in range(3):
        counter.add(f"image-{index}", *masks(index))
    return counter.result()


def test_the_band_of_several_images_is_counted_together():
    total = 0
    for index in range(3):
        truth, found = masks(index)
        band = boundary_band(truth, 5)
        total = total + confusion_matrix(np.where(band, truth, 255), found, 3)
    assert counted().band == metrics(total)
    assert counted(band=1).band.mean_iou < counted(band=8).band.mean_iou


def test_settings_reach_the_measures():
    assert counted(tolerance=0.05).bf > counted(tolerance=0).bf
    sizes = counted(edges=(0.9, 1.1)).sizes
    assert sizes["medium"].objects == sizes["large"].objects == 0
    asked = []

    def objects(name, truth):
        asked.append(name)
        return find_objects(truth, boxes=[ObjectBox(name, 1, Window(10, 0, 30, 50))])

    found = counted(objects=objects, edges=(0.0, 2.0)).sizes["medium"]
    assert found.objects == 3
    assert asked == ["image-0", "image-1", "image-2"]


@pytest.mark.parametrize(
    ("names", "objects"),
    [(("background", "disc", "star"), 1), (("sky", "tree", "road"), 2), (("ground", "square"), 1)],
)
def test_what_is_no_object(names, objects):
    counter = DetailCounter(names)
    truth = np.zeros((20, 20), np.uint8)
    truth[5:10, 5:10] = 1
    counter.add("a", truth, truth)
    assert sum(row.objects for row in counter.result().sizes.values()) == objects


def test_it_is_strict_json():
    values = counted().to_dict()
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert set(values) == {"bf", "bf_per_class", "band", "sizes"}
    nothing = DetailCounter(NAMES)
    nothing.add("a", np.full((4, 4), 255, np.uint8), np.zeros((4, 4), np.uint8))
    assert nothing.result().to_dict()["bf"] is None
