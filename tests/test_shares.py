"""Two cores get about the same work in every shared stage of a training step, by count, on maps of odd proportions."""

import pytest

from benchmarks.counts import SIDES, Rates, captured_programs, count_call
from benchmarks.harness.implementations import build_scratchnet_step
from benchmarks.harness.network_cases import network_case
from scratchnet.engine.cpu import threads

RATES = Rates(dict.fromkeys(SIDES, 0.05), 0.02, 1000.0)
"""Nanoseconds; only their proportions matter."""

CASES = {
    "bloodcell": ((200, 248), {"width": 0.5}),
    "mobile-unet": ((224, 352), {"width": 0.5}),
    "segnet": ((192, 224), {"width": 0.25}),
    "squares": ((144, 144), {"width": 16}),
}


@pytest.mark.parametrize("model", CASES)
def test_the_slower_core_has_little_more_to_do(model, monkeypatch):
    monkeypatch.setattr(threads, "_cores", lambda: 2)
    size, options = CASES[model]
    slowest = average = 0.0
    for program in captured_programs(build_scratchnet_step(network_case(model, size, 1, 2, options), "sgd")):
        for stage in (stage for stage in program.stages if len(stage) > 1):
            shares = [sum(sum(RATES.parts(count_call(call))) for call in calls) for calls in stage]
            slowest, average = slowest + max(shares), average + sum(shares) / len(shares)
    assert average <= slowest < 1.025 * average
