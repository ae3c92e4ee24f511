import json

import numpy as np
import pytest
from PIL import Image

from scratchnet.data import write_image
from scratchnet.training import load_checkpoint
from tests.tiny import sample


@pytest.fixture(scope="module")
def dropping(tmp_path_factory):
    """A run of a network with dropout."""
    from scratchnet.cli.main import main
    from tests.tiny import write_set

    root = tmp_path_factory.mktemp("dropping")
    write_set(root / "set", 6, 32, 32)
    words = ["--model", "segnet-basic", "--width", "0.1", "--dropout", "--epochs", "1", "--batch-size", "2"]
    assert main(["train", "--data", str(root / "set"), "--out", str(root / "run"), *words]) == 0
    return root / "run" / "checkpoint.npz"


@pytest.fixture
def photo(tmp_path):
    write_image(tmp_path / "photo.png", sample(1, 37, 45)[0])
    return tmp_path / "photo.png"


def stored(path):
    with Image.open(path) as image:
        assert (image.mode, image.size) == ("I;16", (45, 37))
        return np.array(image).astype(np.float64)


def test_segment_writes_the_deviation_as_its_help_says(call, dropping, photo, tmp_path):
    code, said, err = call("segment", dropping, photo, "--out", tmp_path / "out", "--uncertainty", 5)
    assert (code, err) == (0, "")
    assert "; standard deviation 0." in said
    assert "uncertainty: 5 passes with dropout active in encdrop3, encdrop4, decdrop4, decdrop3\n" in said
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "photo.png",
        "photo-overlay.png",
        "photo-uncertainty.png",
    }
    from scratchnet.inference import SampledPredictor, Segmenter, choose_sampling

    checkpoint = load_checkpoint(dropping)
    segmenter = Segmenter(checkpoint.network, checkpoint.spec.preprocessing)
    maps = SampledPredictor(choose_sampling(segmenter, segmenter), 5).maps(sample(1, 37, 45)[0])
    found = 0.5 * (stored(tmp_path / "out" / "photo-uncertainty.png") / 65535) ** 2
    np.testing.assert_allclose(found, maps.deviation(), atol=1e-5)
    with Image.open(tmp_path / "out" / "photo.png") as mask:
        np.testing.assert_array_equal(np.array(mask), maps.mean.argmax(axis=-1))


def test_json_has_the_deviations(call, dropping, photo, tmp_path):
    words = ["segment", dropping, photo, "--out", tmp_path / "out", "--uncertainty", 3]
    (found,) = json.loads(call(*words, "--json")[1])["images"]
    deviation = 0.5 * (stored(tmp_path / "out" / "photo-uncertainty.png") / 65535) ** 2
    expected = {"mean": deviation.mean(), "largest": deviation.max()}
    assert found["standard_deviation"] == pytest.approx(expected, abs=1e-5)
    assert f"highest in {photo}, {deviation.mean():.4f}" in call(*words)[1]


def test_repeated_runs_write_the_same_file(call, dropping, photo, tmp_path):
    for out in ("a", "b"):
        assert call("segment", dropping, photo, "--out", tmp_path / out, "--uncertainty", 3, "--no-overlay")[0] == 0
    a, b = (stored(tmp_path / out / "photo-uncertainty.png") for out in ("a", "b"))
    np.testing.assert_array_equal(a, b)
    assert not (tmp_path / "a" / "photo-overlay.png").exists()


def test_a_network_without_dropout_says_what_it_does_instead(call, finished, photo, tmp_path):
    checkpoint = finished / "run" / "checkpoint.npz"
    code, said, _ = call("segment", checkpoint, photo, "--out", tmp_path / "out", "--uncertainty", 3)
    assert code == 0
    assert "3 random flips, scales and shifts of the image, because the network has no dropout" in said
    assert stored(tmp_path / "out" / "photo-uncertainty.png").max() > 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--uncertainty 1", "--uncertainty 1: expected 2 to 1000 passes"),
        ("--uncertainty 2000", "--uncertainty 2000: expected 2 to 1000 passes"),
        ("--uncertainty 3 --crf", "--crf: cannot be combined with --uncertainty"),
        ("--uncertainty 3 --ensemble other.npz", "--ensemble: cannot be combined with --uncertainty"),
        ("--uncertainty 3 --flip", "--flip: cannot be combined with --uncertainty for a network without dropout"),
        ("--uncertainty 3 --scales 1 2", "--scales: cannot be combined with --uncertainty for a network without"),
        ("--uncertainty 3 --proposals grid", "--proposals: cannot be combined with --uncertainty for a network"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(call, finished, photo, tmp_path, words, said):
    out = tmp_path / "out"
    code, _, err = call("segment", finished / "run" / "checkpoint.npz", photo, "--out", out, *words.split())
    assert (code, err.count("\n")) == (2, 1)
    assert said in err
    assert not out.exists()


def test_dropout_varies_tiles_scales_and_boxes_too(call, dropping, photo, tmp_path):
    for number, words in enumerate(
        ("--tile 32", "--scales 1 1.5", "--flip", "--proposals grid --max-proposals 3 --box-size 32")
    ):
        out = tmp_path / str(number)
        assert call("segment", dropping, photo, "--out", out, "--uncertainty", 2, *words.split())[0] == 0
        assert stored(out / "photo-uncertainty.png").max() > 0
