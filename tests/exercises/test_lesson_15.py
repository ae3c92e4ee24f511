"""The judge of a trained network."""

import numpy as np
import pytest

from scratchnet.exercises import State, find_exercise
from scratchnet.exercises.lesson_15 import deconvnet, draw_images, judge_labels
from scratchnet.exercises.referee import check_answers
from tests.exercises.answers import answers

_, TRUTH = draw_images(np.random.default_rng(0), 4)
LABELS = {
    "right": (TRUTH, None),
    "half": (TRUTH * (np.arange(32) < 16), "Does the loss fall"),
    "ground": (np.zeros_like(TRUTH), "every pixel is labelled as ground"),
    "disc": (np.ones_like(TRUTH), "every pixel is labelled as disc"),
    "exchanged": (1 - TRUTH, "the two classes are exchanged"),
    "one image": (TRUTH[0], "the labels have shape (32, 32), expected (4, 32, 32)"),
    "a number": (3.0, "the labels have shape ()"),
    "text": ("text", "the labels have shape ()"),
}


@pytest.mark.parametrize("name", LABELS)
def test_the_judge_names_what_is_wrong_with_labels(name):
    found, words = LABELS[name]
    sentence = judge_labels(found, (TRUTH, 0.8))
    assert (sentence is None) if words is None else words in sentence


def test_an_untrained_network_is_not_accepted():
    (exercise,) = find_exercise("15_deconvnet")
    untrained = answers(exercise, train=lambda images, masks, updates: deconvnet(8, 2).allocate())
    verdict = check_answers(exercise, untrained)
    assert verdict.state is State.WRONG
    assert verdict.sentences[0].startswith("train is wrong for two images, memorised: the IoU of the warm discs is 0.")
