"""Single operations: the problems are what they say, and every library solves them alike."""

import numpy as np
import pytest

from benchmarks.harness import op_cases as problems
from benchmarks.harness import scratchnet_ops as our_ops
from benchmarks.harness import torch_ops
from benchmarks.harness.implementation_names import CHANNELS_LAST, OURS, TORCH
from benchmarks.harness.ops import measure_problem, measure_solutions
from benchmarks.harness.session import Session
from benchmarks.harness.timing import Method
from scratchnet import layers
from scratchnet.utils.errors import UserError

ONCE = Method(repeats=1, block=0.0, settle=0.0, retries=0)

TINY = [
    problems.conv(2, 3, 8, 12),
    problems.conv(1, 8, 8, 16),
    problems.conv(2, 4, 6, 5, kernel=1),
    problems.conv(2, 3, 5, 7, kernel=7),
    problems.conv(2, 4, 6, 9, stride=2),
    problems.conv(2, 4, 6, 9, dilation=2),
    problems.conv(2, 4, 4, 6, groups=4),
    problems.deconv(2, 6, 4, 5, 4, 2, 1),
    problems.deconv(2, 6, 4, 5, 3, 1, 1),
    problems.deconv(2, 6, 4, 1, 7, 1, 0),
    problems.pool(2, 3, 8, unpool=False),
    problems.pool(2, 3, 8, unpool=True),
    problems.elementwise("batch norm", 2, 3, 5),
    problems.elementwise("relu", 2, 3, 5),
    problems.loss(2, 5, 4),
    problems.loss(2, 1, 4),
    problems.update("sgd", 100),
    problems.update("adam", 100),
]


def session(torch):
    return Session(ONCE, {OURS: 1e9}, torch)


@pytest.mark.parametrize("problem", TINY, ids=lambda p: p.name)
def test_our_results_have_the_shapes_of_the_problem(problem):
    results = our_ops.solve(problem).results()
    if problem.kind not in ("loss", "sgd", "adam"):
        assert [r.shape for r in results] == [problem.output, *problem.shapes[: len(results) - 1]]
    assert all(r.dtype == np.float32 for r in results)


@pytest.mark.parametrize("problem", TINY, ids=lambda p: p.name)
def test_pytorch_computes_the_same(problem):
    pytest.importorskip("torch")
    rows = list(measure_problem(problem, session(torch=True)))
    expected = {"loss": ["with gradient"], "sgd": ["update"], "adam": ["update"]}
    parts = expected.get(problem.kind, ["forward", "backward"])
    assert [row.case for row in rows] == [f"{problem.name} {part}" for part in parts]
    for row in rows:
        assert list(row.timings) == [OURS, TORCH, CHANNELS_LAST]
        assert all(t.median > 0 for t in row.timings.values())


@pytest.mark.parametrize("problem", TINY, ids=lambda p: p.name)
def test_every_result_of_pytorch_is_compared(problem):
    pytest.importorskip("torch")
    assert len(our_ops.solve(problem).results()) == len(torch_ops.solve(problem, False).results())


def test_a_contestant_that_computes_something_else_is_not_timed():
    right = our_ops.solve(TINY[13])
    wrong = problems.Solution(right.parts, lambda: [r + 0.01 for r in right.results()])
    with pytest.raises(UserError, match=r"relu 3, 5²: wrong is off by .*; not timed"):
        list(measure_solutions(TINY[13], session(torch=False), right, {"wrong": wrong}))


def test_names_are_unique_and_sizes_right():
    found = problems.problems(2)
    assert len({p.name for p in found}) == len(found)
    for problem in found:
        if problem.kind not in ("conv", "deconv"):
            continue
        x, weight = problem.shapes[:2]
        kind = layers.Conv2d if problem.kind == "conv" else layers.ConvTranspose2d
        layer = kind(x[3], problem.output[3], weight[:2], **problem.settings)
        assert layer.parameters["weight"].shape == weight
        assert layer.output_shape(x) == problem.output
        assert layer.multiply_adds(x) == problem.products
        assert (problem.flops("forward"), problem.flops("backward")) == (2 * problem.products, 4 * problem.products)


def test_choosing_by_name():
    found = problems.problems(1)
    assert problems.choose(found, ()) == found
    assert [p.kind for p in problems.choose(found, ["Adam", "sigmoid"])] == ["loss", "adam"]
    with pytest.raises(UserError, match="no operation is named like 'cnov'; names begin with conv, deconv, max-pool"):
        problems.choose(found, ["conv", "cnov"])
