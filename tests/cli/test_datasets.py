"""The images of a training as `scratchnet train` opens them."""

from dataclasses import replace

import numpy as np
import pytest

from scratchnet.cli.datasets import training_views
from scratchnet.config import DataSettings, TrainSettings
from scratchnet.data import open_dataset, split_dataset
from tests.tiny import write_set

CHANGES = {"none": {}, "resize": {"resize": (8, 8)}, "tile": {"tile": 8}}


@pytest.mark.parametrize("change", CHANGES)
def test_files_of_a_small_set_are_read_once(tmp_path, change):
    write_set(tmp_path / "set")
    data = DataSettings(data=str(tmp_path / "set"), **CHANGES[change])
    settings = replace(TrainSettings(), data=data)
    whole = open_dataset(tmp_path / "set")
    train, val = split_dataset(whole, 0.5, 0)
    source, _ = training_views(settings, train, val)
    before = [source.load(index) for index in range(len(source))]
    for path in (tmp_path / "set").rglob("*.png"):
        path.unlink()
    for index, (image, mask) in enumerate(before):
        np.testing.assert_array_equal(source.load(index)[0], image)
        np.testing.assert_array_equal(source.load(index)[1], mask)
