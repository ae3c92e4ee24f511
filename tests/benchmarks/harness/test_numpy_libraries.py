"""Libraries that are rarely installed: these tests skip without them."""

import numpy as np
import pytest

from benchmarks.harness import numpy_libraries as peers
from benchmarks.harness import op_cases as problems
from benchmarks.harness import scratchnet_ops as our_ops
from benchmarks.harness.implementation_names import OURS
from benchmarks.harness.session import Session
from benchmarks.harness.timing import Method
from tests.benchmarks.harness.test_ops import TINY

SESSION = Session(Method(repeats=1, block=0.0, settle=0.0, retries=0), {OURS: 1e9}, torch=False)
OFFERS = {"DeZero": "conv deconv max-pool batch norm relu loss", "MyGrad": "conv max-pool batch norm relu loss"}


@pytest.mark.parametrize("problem", TINY, ids=lambda p: p.name)
@pytest.mark.parametrize("peer", peers.MODULES)
@pytest.mark.filterwarnings("ignore")
def test_a_peer_computes_the_same(peer, problem):
    if peer not in peers.installed():
        pytest.skip(f"{peer} is not installed")
    solution = peers.solve(peer, problem)
    if solution is None:
        assert problem.kind not in OFFERS[peer] or problem.settings or problem.output[-1] == 1
        return
    for mine, theirs in zip(our_ops.solve(problem).results(), solution.results(), strict=True):
        assert np.shape(mine) == np.shape(theirs)
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-4 * np.abs(theirs).max())


def test_our_two_passes_are_put_together(monkeypatch):
    """With a stand-in for a peer: this package's own functions."""
    monkeypatch.setattr(peers, "installed", lambda: ["Twin", "Poor"])
    own = peers._joined(our_ops.solve(TINY[1]))
    monkeypatch.setattr(peers, "solve", lambda name, problem: own if name == "Twin" else None)
    rows = list(peers.measure_beside_peers(TINY[1], SESSION))
    assert [row.case for row in rows] == [f"{TINY[1].name} forward", f"{TINY[1].name} forward+backward"]
    assert [list(row.timings) for row in rows] == [[OURS, "Twin"]] * 2
    assert [row.flops for row in rows] == [2 * TINY[1].products, 6 * TINY[1].products]


def test_what_no_peer_offers_is_left_out(monkeypatch):
    monkeypatch.setattr(peers, "installed", list)
    assert list(peers.measure_beside_peers(problems.update("sgd", 10), SESSION)) == []
