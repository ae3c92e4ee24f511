"""Event files, read back with TensorBoard's own reader."""

import io

import numpy as np
import pytest
from PIL import Image

from scratchnet.training.tensorboard import EventFile

pytest.importorskip("tensorboard")


def read(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder), size_guidance={"scalars": 0, "images": 0})
    found.Reload()
    return found


def rows(count):
    return [
        {"epoch": k, "iteration": 3 * k, "train_loss": 1 / k, "val_loss": float("nan"), "learning_rate": 0.5}
        for k in range(1, count + 1)
    ]


def scalars(found, tag):
    return [(event.step, event.value) for event in found.Scalars(tag)]


def in_another_process(events):
    """Give a file the name that a later process gives it."""
    events.path = events.path.with_name(events.path.name.replace("tfevents.", "tfevents.9"))
    return events


def test_scalars_and_pictures_come_back(tmp_path):
    events = EventFile(tmp_path, 0)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    events.add(rows(1), {"cell": pixels})
    events.add(rows(2), {})
    found = read(tmp_path)
    assert set(found.Tags()["scalars"]) == {"iteration", "train_loss", "learning_rate"}
    assert scalars(found, "train_loss") == [(1, 1.0), (2, 0.5)]
    (picture,) = found.Images("example/cell")
    assert (picture.step, picture.height, picture.width) == (1, 5, 7)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(picture.encoded_image_string))), pixels)


def test_a_resumed_run_writes_each_step_once(tmp_path):
    EventFile(tmp_path, 0).add(rows(2), {})
    in_another_process(EventFile(tmp_path, 3)).add(rows(4), {})  # killed before the third epoch was written
    assert scalars(read(tmp_path), "train_loss") == [(k, pytest.approx(1 / k)) for k in range(1, 5)]
    assert len(list(tmp_path.iterdir())) == 2


def test_a_record_that_was_cut_off_is_written_again(tmp_path):
    first = EventFile(tmp_path, 0)
    first.add(rows(1), {})
    first.add(rows(2), {})
    first.path.write_bytes(first.path.read_bytes()[:-10])
    later = in_another_process(EventFile(tmp_path, 2))
    assert later.written == 1
    later.add(rows(2), {})
    assert scalars(read(tmp_path), "train_loss") == [(1, 1.0), (2, 0.5)]


def test_files_of_another_run_are_removed_and_a_users_file_is_kept(tmp_path):
    EventFile(tmp_path, 0).add(rows(3), {})
    mine = tmp_path / "events.out.tfevents.1.mine"
    mine.write_bytes(b"mine")
    assert EventFile(tmp_path, 0).written == 0
    assert list(tmp_path.iterdir()) == [mine]
