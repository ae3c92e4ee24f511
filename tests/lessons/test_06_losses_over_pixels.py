"""Lesson 6: the figures of its text are those of its code."""

import numpy as np

from tests import naive


def test_probabilities_and_surprise(lesson):
    six = lesson(6)
    values = six.values
    six.says("{:.2f} at z = 0, {:.2f} at z = 2 and {:.2f} at z = −2", values["even"], values["sure"], values["unsure"])
    six.says("with q = 0.5 it is {:.2f}", -np.log(0.5))
    six.says(
        "the loss of a cell pixel is {:.2f} and that of a background pixel {:.2f}", values["cell"], values["background"]
    )


def test_the_logit_40(lesson):
    six = lesson(6)
    values = six.values
    assert values["from_where"] == {"float64": 37, "float32": 17}
    six.says("a logit of 17 is enough; in ``float64`` it takes 37")
    six.says("at 40 it is {:.0f}", values["at_40"])
    six.says("finite, {:.1f} at z = 40", values["patched"](40))
    assert values["patched_slope"] == 0
    stable = values["stable_loss"]
    assert [stable(z, t) for z, t in ((700.0, 0), (-700.0, 1), (800.0, 1))] == [700, 700, 0]
    one = np.ones((1, 1, 1))
    for z, t in ((3.0, 1), (3.0, 0), (-3.0, 1)):
        right, _ = naive.sigmoid_cross_entropy(z * one[..., None], t * one, one)
        assert np.isclose(stable(z, t), right)


def test_losses_of_beginners(lesson):
    six = lesson(6)
    six.says("{:.2f} with 2 classes, {:.2f} with 11, {:.2f} with 21", np.log(2), np.log(11), np.log(21))
    assert abs(six.values["beginner"].mean() - np.log(11)) < 0.05
    assert six.values["loud"].mean() > 4 * np.log(11)
    six.says("a loss of {:.2f} with 2 classes and of {:.2f} with 11", *six.values["floors"].values())


def test_class_weights(lesson):
    six = lesson(6)
    values = six.values
    six.says("learns to predict {:.2f} everywhere", values["plain"])
    six.says("weights {:.2f} and {:.2f} it predicts {:.2f}", *values["balanced"], values["weighted"])
    assert abs(values["plain"] - values["frequency"][1]) < 0.005


def test_the_softmax_loss_is_that_of_the_slow_twin(lesson):
    rng = np.random.default_rng(1)
    z, labels = rng.standard_normal((1, 2, 3, 4)), rng.integers(0, 4, (1, 2, 3))
    losses, slopes = lesson(6).values["softmax_loss"](z, labels)
    expected = naive.softmax_cross_entropy(z, labels, np.ones((1, 2, 3)))
    assert np.isclose(losses.sum(), expected[0])
    assert np.allclose(slopes, expected[1])


def test_what_the_weighted_sum_is_divided_by(lesson):
    lesson(6).says("the mean weight of the pixels, which is {:.2f} here", lesson(6).values["mean_weight"])
