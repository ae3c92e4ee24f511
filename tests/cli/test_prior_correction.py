"""``--prior-correction`` and the class weights that checkpoints store for it."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from scratchnet.data import write_image
from scratchnet.inference import PriorCorrected, Segmenter, to_mask
from scratchnet.training import Checkpoint, load_checkpoint, save_checkpoint
from scratchnet.training.contents import CLASS_WEIGHTS
from scratchnet.utils.errors import UserError
from tests.cli.test_prediction_arguments import halve
from tests.tiny import network, recipe, sample

WEIGHTED = {"training": {CLASS_WEIGHTS: "median-frequency", "class_weights_power": 1.0, "class_weights_cap": None}}


@pytest.fixture
def segment(call, tmp_path):
    """Segment a photograph with a network that is said to be trained with ``data`` and ``settings``."""
    write_image(tmp_path / "photo.png", sample(5, 48, 70)[0])

    def run(*words, data=None, settings=None):
        net, spec = network(), replace(recipe(), data=data or {}, settings=settings or {})
        halve(net, spec)
        save_checkpoint(tmp_path / "a.npz", Checkpoint(spec, net))
        code, _, err = call("segment", tmp_path / "a.npz", tmp_path / "photo.png", "--out", tmp_path / "out", *words)
        if code:
            return code, err
        with Image.open(tmp_path / "out" / "photo.png") as mask:
            return np.array(mask), err

    return run


@pytest.mark.parametrize(("words", "power"), [((), 0.5), (("1",), 1.0)])
def test_the_stored_weights_are_used(segment, tmp_path, words, power):
    found, err = segment("--prior-correction", *words, data={CLASS_WEIGHTS: [1.0, 2.5]}, settings=WEIGHTED)
    stored = load_checkpoint(tmp_path / "a.npz")
    corrected = PriorCorrected(Segmenter(stored.network, stored.spec.preprocessing), (1.0, 2.5), power)
    np.testing.assert_array_equal(found, to_mask(corrected.probabilities(sample(5, 48, 70)[0][None]))[0])
    assert err == ""
    assert found.mean() < segment()[0].mean()


def test_without_class_weights_a_line_says_that_nothing_changes(segment):
    found, err = segment("--prior-correction")
    assert err == (
        "warning: --prior-correction: changes nothing, because the network was trained without class weights\n"
    )
    np.testing.assert_array_equal(found, segment()[0])


def test_weights_that_an_earlier_version_did_not_store(segment):
    code, err = segment("--prior-correction", settings=WEIGHTED)
    assert code == 2
    assert err.count("\n") == 1
    assert "--class-weights median-frequency by an earlier version, which did not store the weights" in err
    assert segment(settings=WEIGHTED)[1] == ""


def test_weights_in_the_settings_of_an_earlier_version():
    training = {CLASS_WEIGHTS: [1.0, 16.0], "class_weights_power": 0.5, "class_weights_cap": 3}
    assert replace(recipe(), settings={"training": training}).class_weights() == (1.0, 3.0)


@pytest.mark.parametrize("data", [{CLASS_WEIGHTS: [1.0]}, {CLASS_WEIGHTS: "x"}, {"largest_image": [1, "2"]}])
def test_entries_of_another_form(tmp_path, data):
    save_checkpoint(tmp_path / "a.npz", Checkpoint(replace(recipe(), data=data), network()))
    with pytest.raises(UserError, match="does not fit together"):
        load_checkpoint(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--prior-correction", "3"), "--prior-correction 3.0: expected 0 to 2"),
        (("--prior-correction", "-1"), "--prior-correction -1.0: expected 0 to 2"),
        (("--prior-correction", "--uncertainty", "5"), "--prior-correction: cannot be combined with --uncertainty"),
    ],
)
def test_what_does_not_fit(segment, words, said):
    code, err = segment(*words, data={CLASS_WEIGHTS: [1.0, 2.0]})
    assert code == 2
    assert said in err
    assert err.count("\n") == 1


def test_an_ensemble_corrects_each_network_with_its_own_weights(segment, tmp_path):
    other = replace(recipe(), data={CLASS_WEIGHTS: [1.0, 1e6]})
    save_checkpoint(tmp_path / "b.npz", Checkpoint(other, network(seed=1)))
    words = ("--prior-correction", "2", "--ensemble", tmp_path / "b.npz")
    assert segment(*words, data={CLASS_WEIGHTS: [1.0, 1e6]})[0].max() == 0


def test_a_training_stores_its_weights(train, images, call, tmp_path):
    weights = ("--class-weights", "1", "16", "--class-weights-power", "0.5")
    assert train(images, tmp_path / "run", *weights)[0] == 0
    spec = load_checkpoint(tmp_path / "run" / "checkpoint.npz").spec
    assert spec.class_weights() == (1.0, 4.0)
    assert spec.data["largest_image"] == [32, 32]
    words = ("evaluate", tmp_path / "run" / "checkpoint.npz", "--data", images, "--prior-correction")
    code, said, err = call(*words)
    assert (code, err) == (0, "")
    assert said.startswith("bloodcell on 2 images, running statistics, prior correction 0.5")
