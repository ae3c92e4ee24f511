"""Training from Python: arrays, any loss, any network."""

from dataclasses import replace

import numpy as np
import pytest

from scratchnet.data import ArraySource, Augmentation, Preprocessing
from scratchnet.inference import Segmenter
from scratchnet.layers import BatchNorm2d, Conv2d, Layer, MaxPool2d, Parameter, ReLU, UpsampleNearest
from scratchnet.layers.initialization import constant
from scratchnet.losses import PixelLoss
from scratchnet.network import Network
from scratchnet.training import Trainer, TrainingSettings, load_checkpoint, load_network
from scratchnet.utils.errors import UserError
from tests.tiny import sample

SETTINGS = TrainingSettings(epochs=2, batch_size=2, learning_rate=0.01)


class Gain(Layer):
    """A layer of one's own."""

    def __init__(self, start=1.0):
        super().__init__()
        self.parameters["gain"] = Parameter((1,), "scale", constant(start))

    def forward(self, x):
        self.save_for_backward(x)
        return x * self.parameters["gain"].value

    def backward(self, dy):
        (x,) = self.take_saved()
        self.parameters["gain"].add_grad(np.array([(x * dy).sum()], x.dtype))
        return dy * self.parameters["gain"].value

    def output_shape(self, x):
        return x


def small(*extra, classes=2):
    net = Network(3, stride=2)
    net.add("conv1", Conv2d(3, 4, 3, padding=1))
    net.add("bn1", BatchNorm2d(4))
    net.add("relu1", ReLU())
    for number, layer in enumerate(extra):
        net.add(f"extra{number}", layer)
    net.add("pool1", MaxPool2d(2))
    net.add("up1", UpsampleNearest(2))
    net.add("score", Conv2d(4, classes, 3, padding=1))
    return net


def pairs(count=6, height=16, width=16):
    images, masks = zip(*(sample(index, height, width) for index in range(count)), strict=True)
    return list(images), list(masks)


def squared(logits, truth):
    """A loss of one's own: the mean squared distance to the truth, written as ±1."""
    difference = logits[..., 0] - (2.0 * truth - 1)
    return float((difference**2).mean()), (2 * difference / difference.size)[..., None]


def test_a_network_learns_from_arrays_and_predicts(tmp_path):
    images, masks = pairs()
    net = small()
    trainer = Trainer(net, PixelLoss(2), (np.stack(images), np.stack(masks)), settings=SETTINGS)
    rows = trainer.fit()
    assert [row["epoch"] for row in rows] == [1, 2]
    assert rows[1]["train_loss"] < rows[0]["train_loss"]
    trainer.save(tmp_path / "net.npz")
    found = load_checkpoint(tmp_path / "net.npz")
    np.testing.assert_array_equal(found.network.flat().values, net.flat().values)
    predicted = trainer.predict(images)
    segmenter = Segmenter(found.network, found.spec.preprocessing)
    for image, mask in zip(images, predicted, strict=True):
        np.testing.assert_array_equal(segmenter.segment(image), mask)
        assert mask.shape == image.shape[:2]


def test_any_function_of_logits_and_truth_is_a_loss():
    images, masks = pairs()
    settings = TrainingSettings(epochs=4, batch_size=4, gradient_accumulation=2, learning_rate=0.05)
    trainer = Trainer(small(classes=1), squared, (images, masks), settings=settings)
    rows = trainer.fit()
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]


@pytest.mark.parametrize(
    ("function", "error", "text"),
    [
        (lambda z, t: 1.0, TypeError, "expected a tuple (loss, gradient)"),
        (lambda z, t: (1.0, z[..., :1]), ValueError, "expected that of the logits"),
    ],
)
def test_what_a_loss_returns_is_checked(function, error, text):
    with pytest.raises(error) as found:
        Trainer(small(), function, pairs(), settings=SETTINGS).fit()
    assert text in str(found.value)


def test_layers_of_ones_own_and_frozen_parameters(tmp_path):
    net = small(Gain()).allocate(1).freeze("conv1")
    before = net.parameters()["conv1.weight"].value.copy()
    trainer = Trainer(net, PixelLoss(2), pairs(), pairs(2), settings=SETTINGS, folder=tmp_path / "run")
    trainer.fit()
    np.testing.assert_array_equal(net.parameters()["conv1.weight"].value, before)
    assert net.parameters()["extra0.gain"].value != 1
    assert net.frozen() == ["conv1.weight", "conv1.bias"]
    found = load_network(tmp_path / "run" / "checkpoint.npz", layers=[Gain])
    np.testing.assert_array_equal(found.flat().values, net.flat().values)


def test_a_run_in_a_folder_can_be_resumed_to_the_same_bits(tmp_path):
    settings = {"batch_size": 2, "optimizer": "adamw", "ema": 0.9, "recalibrate": False}

    def fitted(folder, epochs, resume=False):
        chosen = TrainingSettings(epochs=epochs, **settings)
        trainer = Trainer(small(), PixelLoss(2), pairs(), settings=chosen, folder=folder, resume=resume)
        trainer.fit()
        return trainer

    whole = fitted(tmp_path / "whole", 3)
    fitted(tmp_path / "parts", 1)
    rest = fitted(tmp_path / "parts", 3, resume=True)
    np.testing.assert_array_equal(rest.network.flat().values, whole.network.flat().values)
    other = small(ReLU())
    with pytest.raises(UserError, match="was trained with another network"):
        Trainer(other, PixelLoss(2), pairs(), settings=SETTINGS, folder=tmp_path / "parts", resume=True).fit()


def test_grey_images_boolean_masks_and_mixed_sizes():
    source = ArraySource(
        [np.zeros((8, 6), np.uint8), np.zeros((4, 4, 3), np.uint8)], [np.ones((8, 6), bool), np.eye(4, dtype=int)]
    )
    assert source.classes == ("class 0", "class 1")
    assert source.size(0) == (8, 6)
    image, mask = source.load(0)
    assert image.shape == (8, 6, 3)
    assert mask.dtype == np.uint8


@pytest.mark.parametrize(
    ("images", "masks", "error", "text"),
    [
        (np.zeros((2, 4, 4, 3)), np.zeros((2, 4, 4), int), TypeError, "image 0 is float64; expected uint8"),
        (np.zeros((2, 4, 4, 3), np.uint8), np.zeros((1, 4, 4), int), ValueError, "2 images and 1 masks"),
        (np.zeros((1, 4, 4, 4), np.uint8), np.zeros((1, 4, 4), int), ValueError, "image 0 has shape (4, 4, 4)"),
        (np.zeros((1, 4, 4, 3), np.uint8), np.zeros((1, 4, 5), int), ValueError, "its mask (4, 5)"),
        (np.zeros((1, 4, 4, 3), np.uint8), np.zeros((1, 4, 4)), TypeError, "mask 0 is float64; expected integers"),
        (np.zeros((1, 4, 4, 3), np.uint8), np.full((1, 4, 4), -1), ValueError, "mask 0 holds -1"),
        (np.zeros((1, 4, 4, 3), np.uint8), np.full((1, 4, 4), 7), ValueError, "the label 7, but there are 2 classes"),
        ([], [], ValueError, "at least 1"),
    ],
)
def test_arrays_that_do_not_fit_are_named(images, masks, error, text):
    with pytest.raises(error) as found:
        Trainer(small(), PixelLoss(2), (images, masks))
    assert text in str(found.value)


def test_networks_and_settings_that_do_not_fit_are_named():
    images, masks = pairs(2)
    with pytest.raises(ValueError, match="takes 1 channels; images have 3"):
        Trainer(Network(1), PixelLoss(2), (images, masks))
    with pytest.raises(ValueError, match="the network is float64; training needs float32"):
        Trainer(small().allocate(0, np.float64), PixelLoss(2), (images, masks))
    with pytest.raises(UserError, match="batch_size=0: expected 1 to"):
        Trainer(small(), PixelLoss(2), (images, masks), settings=TrainingSettings(batch_size=0))
    Trainer(
        small(),
        PixelLoss(2),
        (images[:1], masks[:1]),
        preprocessing=Preprocessing("none"),
        augmentation=Augmentation(flip_horizontal=True),
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"batch_size": 0}, "batch_size=0: expected 1 to 1,000,000,000"),
        ({"nesterov": True}, "nesterov=True: expected optimizer='sgd' with it"),
        ({"freeze": ("convv1",)}, "freeze: no parameter matches 'convv1'"),
        ({"freeze": ("*",)}, "freeze=('*',): freezes all parameters"),
        ({"precision": "tf32"}, "precision='tf32': is for device='gpu'"),
        ({"learning_rate": 1e30}, "lower learning_rate (now 1e+30) and start again"),
        ({"ema": 0.9}, "resume with the same ema"),
        ({"optimizer": "sgd"}, "resume with the same optimizer"),
    ],
)
def test_messages_name_arguments_and_no_flags(tmp_path, changes, words):
    Trainer(small(), PixelLoss(2), pairs(), settings=replace(SETTINGS, epochs=1), folder=tmp_path).fit()
    with pytest.raises(UserError) as found:
        Trainer(
            small(), PixelLoss(2), pairs(), settings=replace(SETTINGS, **changes), folder=tmp_path, resume=True
        ).fit()
    assert words in str(found.value)
    assert "--" not in str(found.value)


def test_printing_a_network_shows_its_table():
    text = str(small())
    assert "score" in text
    assert "(1, 32, 32, 2)" in text
    assert repr(small()).startswith("<Network: 6 steps, ")
    net = small(Gain())
    assert "Gain" in str(net)
    assert str(Network(3)) == "<Network: 0 steps, 0 parameters>"
