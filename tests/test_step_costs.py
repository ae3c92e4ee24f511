"""A training step makes no large arrays once it has warmed up, and multiplies less than the direct convolution.

The bounds are what a step costs today, a little rounded up. A change that stays below may lower them; one that goes
above has lost something: a buffer that is used again, a pass in place, a fast form of a convolution.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from benchmarks.harness.implementations import build_scratchnet_step
from benchmarks.harness.network_cases import network_case
from benchmarks.harness.step import step_flops
from scratchnet.engine.cpu import threads
from scratchnet.engine.modes import precise, textbook
from scratchnet.network.summary import summarize
from tests.costs import LARGE, counted


@dataclass
class Bound:
    """What a step may cost.

    Attributes
    ----------
    size, batch : int
        Of the images.
    arrays : int
        Fresh arrays of a megabyte or more.
    megabytes : float
        Fresh memory at any one time.
    products : float
        Operations of matrix products, as a share of the direct convolution's.
    """

    size: int
    batch: int
    arrays: int
    megabytes: float
    products: float


TRAINING = {
    "bloodcell": Bound(128, 2, 0, 2.2, 0.34),
    "deconvnet-small": Bound(128, 2, 0, 1.4, 0.58),
    "squares": Bound(64, 1, 0, 0.6, 0.33),
    "vgg16-mirror": Bound(64, 1, 0, 1.0, 0.78),
}
SEGMENTING = {"bloodcell": Bound(128, 2, 0, 1.2, 0.35), "vgg16-mirror": Bound(64, 1, 0, 0.4, 0.78)}


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Counts depend a little on how work is shared."""
    monkeypatch.setattr(threads, "_cores", lambda: 1)


@pytest.fixture(scope="module")
def warm_step():
    """Return a case and its training step, which has run a few times; a replay would make the same calls unseen."""

    @cache
    def build(model):
        bound = TRAINING[model]
        case = network_case(model, (bound.size, bound.size), bound.batch)
        step = build_scratchnet_step(case, "sgd")
        step.captured = step.network
        for _ in range(2):
            step()
        return case, step

    def warm(model):
        case, step = build(model)
        step.network.train()
        step()
        return case, step

    return warm


def check(costs, bound, direct):
    assert len(costs.large_arrays) <= bound.arrays, f"fresh arrays of {costs.large_arrays} bytes"
    assert costs.peak_bytes <= bound.megabytes * 1e6
    assert 0.1 * direct < costs.product_flops <= bound.products * direct


@pytest.mark.parametrize("model", TRAINING)
def test_training(model, warm_step):
    case, step = warm_step(model)
    with counted() as costs:
        step()
    check(costs, TRAINING[model], step_flops(case))


@pytest.mark.parametrize("model", SEGMENTING)
def test_segmenting(model, warm_step):
    bound = SEGMENTING[model]
    case, step = warm_step(model)
    network, x = step.network.eval(), step.batch.x
    network.forward(x)
    with counted() as costs:
        network.forward(x)
    check(costs, bound, summarize(network, case.size, case.batch).flops)


def test_the_slow_forms_would_be_noticed(warm_step):
    case, step = warm_step("deconvnet-small")
    for slow in (precise, textbook):
        with slow(), counted() as costs:
            step()
        with pytest.raises(AssertionError):
            check(costs, TRAINING["deconvnet-small"], step_flops(case))
        if slow is precise:  # plain forms multiply by ``@``, which is not counted
            assert costs.product_flops > 0.9 * step_flops(case)


def test_what_counts_as_large():
    with counted() as costs:
        kept = [np.empty(LARGE, np.uint8), np.zeros(LARGE, np.uint8), np.zeros(LARGE - 1, np.uint8)]
        del kept
        np.ones(LARGE // 4, np.float64)
    assert costs.large_arrays == [LARGE, LARGE, 2 * LARGE]
    assert 3 * LARGE - 10_000 < costs.peak_bytes < 3 * LARGE + 10_000


def test_operations_of_products():
    a, b = np.ones((5, 2, 3)), np.ones((3, 4))
    with counted() as costs:
        np.matmul(a, b)
        np.matmul(a[0], b, out=np.empty((2, 4)))
    assert costs.product_flops == 2 * (5 * 2 * 3 * 4) + 2 * (2 * 3 * 4)
    assert costs.large_arrays == []


def test_everything_is_put_back():
    matmul = np.matmul
    with pytest.raises(ZeroDivisionError), counted() as costs:
        raise ZeroDivisionError
    assert np.matmul is matmul
    np.empty(LARGE)
    assert costs.large_arrays == []
