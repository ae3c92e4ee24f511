"""Single operations: the cases have the sizes that they state, and all libraries compute the same."""

import numpy as np
import pytest

from benchmarks.harness import op_cases, scratchnet_ops, torch_ops
from benchmarks.harness.implementation_names import CHANNELS_LAST, SCRATCHNET, TORCH
from benchmarks.harness.ops import measure_implementations, measure_op
from benchmarks.harness.session import Session
from benchmarks.harness.timing import TimingSettings
from scratchnet import layers
from scratchnet.utils.errors import UserError

ONCE = TimingSettings(repeats=1, block=0.0, settle=0.0, retries=0)

TINY = [
    op_cases.conv(2, 3, 8, 12),
    op_cases.conv(1, 8, 8, 16),
    op_cases.conv(2, 4, 6, 5, kernel=1),
    op_cases.conv(2, 3, 5, 7, kernel=7),
    op_cases.conv(2, 4, 6, 9, stride=2),
    op_cases.conv(2, 4, 6, 9, dilation=2),
    op_cases.conv(2, 4, 4, 6, groups=4),
    op_cases.deconv(2, 6, 4, 5, 4, 2, 1),
    op_cases.deconv(2, 6, 4, 5, 3, 1, 1),
    op_cases.deconv(2, 6, 4, 1, 7, 1, 0),
    op_cases.pool(2, 3, 8, unpool=False),
    op_cases.pool(2, 3, 8, unpool=True),
    op_cases.elementwise("batch norm", 2, 3, 5),
    op_cases.elementwise("relu", 2, 3, 5),
    op_cases.loss(2, 5, 4),
    op_cases.loss(2, 1, 4),
    op_cases.update("sgd", 100),
    op_cases.update("adam", 100),
]


def session(torch):
    return Session(ONCE, {SCRATCHNET: 1e9}, torch)


@pytest.mark.parametrize("case", TINY, ids=lambda p: p.name)
def test_our_results_have_the_shapes_of_the_problem(case):
    results = scratchnet_ops.implement(case).results()
    if case.kind not in ("loss", "sgd", "adam"):
        assert [r.shape for r in results] == [case.output, *case.shapes[: len(results) - 1]]
    assert all(r.dtype == np.float32 for r in results)


@pytest.mark.parametrize("case", TINY, ids=lambda p: p.name)
def test_pytorch_computes_the_same(case):
    pytest.importorskip("torch")
    rows = list(measure_op(case, session(torch=True)))
    expected = {"loss": ["with gradient"], "sgd": ["update"], "adam": ["update"]}
    parts = expected.get(case.kind, ["forward", "backward"])
    assert [row.case for row in rows] == [f"{case.name} {part}" for part in parts]
    for row in rows:
        assert list(row.timings) == [SCRATCHNET, TORCH, CHANNELS_LAST]
        assert all(t.median > 0 for t in row.timings.values())


@pytest.mark.parametrize("case", TINY, ids=lambda p: p.name)
def test_every_result_of_pytorch_is_compared(case):
    pytest.importorskip("torch")
    assert len(scratchnet_ops.implement(case).results()) == len(torch_ops.implement(case, False).results())


def test_an_implementation_that_computes_something_else_is_not_timed():
    right = scratchnet_ops.implement(TINY[13])
    wrong = op_cases.OpImplementation(right.parts, lambda: [r + 0.01 for r in right.results()])
    with pytest.raises(UserError, match=r"relu 3, 5²: wrong is off by .*; not timed"):
        list(measure_implementations(TINY[13], session(torch=False), right, {"wrong": wrong}))


def test_names_are_unique_and_sizes_right():
    found = op_cases.build_op_cases(2)
    assert len({p.name for p in found}) == len(found)
    for case in found:
        if case.kind not in ("conv", "deconv"):
            continue
        x, weight = case.shapes[:2]
        kind = layers.Conv2d if case.kind == "conv" else layers.ConvTranspose2d
        layer = kind(x[3], case.output[3], weight[:2], **case.settings)
        assert layer.parameters["weight"].shape == weight
        assert layer.output_shape(x) == case.output
        assert layer.multiply_adds(x) == case.multiply_adds
        assert (case.flops("forward"), case.flops("backward")) == (2 * case.multiply_adds, 4 * case.multiply_adds)


def test_choosing_by_name():
    found = op_cases.build_op_cases(1)
    assert op_cases.select_op_cases(found, ()) == found
    assert [p.kind for p in op_cases.select_op_cases(found, ["Adam", "sigmoid"])] == ["loss", "adam"]
    with pytest.raises(UserError, match="no operation is named like 'cnov'; names begin with conv, deconv, max-pool"):
        op_cases.select_op_cases(found, ["conv", "cnov"])
