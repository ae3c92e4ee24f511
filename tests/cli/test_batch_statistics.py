"""The warning of ``--bn-statistics batch`` on large images."""

import pytest

from scratchnet.data import write_image
from tests.tiny import sample, write_set

BATCH = ("--bn-statistics", "batch")


@pytest.fixture
def segment(call, finished, tmp_path):
    def run(size, *words):
        write_image(tmp_path / "photo.png", sample(5, *size)[0])
        words = (finished / "run" / "checkpoint.npz", tmp_path / "photo.png", "--out", tmp_path / "out", *words)
        code, _, err = call("segment", *words)
        assert code == 0
        return err

    return run


def test_an_image_much_larger_than_the_training_images(segment):
    assert segment((64, 80), *BATCH) == (
        "warning: --bn-statistics batch: an image of 64×80 pixels (height × width) is much larger than the training "
        "images, at most 32×32 pixels, so its statistics are no help; leave the flag out\n"
    )


@pytest.mark.parametrize(("size", "words"), [((64, 64), BATCH), ((64, 80), ())])
def test_other_images_and_running_statistics_get_no_warning(segment, size, words):
    assert segment(size, *words) == ""


def test_evaluate_warns_once_of_the_largest(call, finished, tmp_path):
    large = write_set(tmp_path / "large", 6, 96, 64)
    words = ("evaluate", finished / "run" / "checkpoint.npz", "--data", large, "--out", tmp_path / "out", *BATCH)
    code, _, err = call(*words)
    assert code == 0
    assert err.count("\n") == 1
    assert "an image of 96×64 pixels (height × width) is much larger" in err
