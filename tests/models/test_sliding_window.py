"""A classifier that slides over an image, and one pass over the image: the same answers, a fraction of the work."""

import numpy as np
import pytest

from scratchnet.models import build
from scratchnet.models.sliding_window import WINDOW
from scratchnet.network.summary import summarize
from tests.compare import numbers

OPTIONS = {"width": 1 / 8}


def both_forms():
    whole = build("sliding-window", 3, **OPTIONS).allocate(5, np.float64).eval()
    window = build("sliding-window", 3, form="window", **OPTIONS).allocate(6, np.float64).eval()
    whole.flat().values[...] += 0.05 * numbers(whole.parameter_count(), seed=1)
    assert [(k, p.shape) for k, p in whole.parameters().items()] == [
        (k, p.shape) for k, p in window.parameters().items()
    ]
    window.flat().values[...] = whole.flat().values
    return whole, window


def test_one_pass_gives_every_pixel_the_answer_of_its_own_window():
    whole, window = both_forms()
    h, w = 6, 9
    framed = numbers(1, h + WINDOW - 1, w + WINDOW - 1, 3)
    at_once = whole.forward(framed)
    windows = np.concatenate(
        [framed[:, r : r + WINDOW, s : s + WINDOW] for r in range(h) for s in range(w)]
    )  # the centre of window (r, s) is pixel (r, s) of the image without its frame
    one_by_one = window.forward(windows)
    assert one_by_one.shape == (h * w, 1, 1, 3)
    np.testing.assert_allclose(at_once[0], one_by_one.reshape(h, w, 3), rtol=0, atol=1e-12)
    assert at_once.std() > 0.01


def test_a_pixel_counts_in_the_windows_that_hold_it_and_no_others():
    whole, _ = both_forms()
    x = numbers(1, WINDOW + 20, WINDOW + 20, 3)
    before = whole.forward(x)
    x[:, 70, 65] += 10
    changed = np.argwhere((whole.forward(x) != before).any(axis=(0, 3)))
    assert (changed.min(axis=0).tolist(), changed.max(axis=0).tolist()) == ([10, 5], [20, 20])


def test_sliding_costs_36_times_as_much():
    one = summarize(build("sliding-window", 2, form="window"), (WINDOW, WINDOW)).flops
    image = summarize(build("sliding-window", 2), (256 + WINDOW - 1,) * 2).flops / 256**2
    assert one / 2e6 == pytest.approx(44, abs=0.5)
    assert image / 2e6 == pytest.approx(1.2, abs=0.05)
