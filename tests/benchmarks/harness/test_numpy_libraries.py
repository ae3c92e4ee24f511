"""Other NumPy libraries; most of these tests are skipped if they are not installed."""

import numpy as np
import pytest

from benchmarks.harness import numpy_libraries, op_cases, scratchnet_ops
from benchmarks.harness.implementation_names import SCRATCHNET
from benchmarks.harness.session import Session
from benchmarks.harness.timing import TimingSettings
from tests.benchmarks.harness.test_ops import TINY

SESSION = Session(TimingSettings(repeats=1, block=0.0, settle=0.0, retries=0), {SCRATCHNET: 1e9}, torch=False)
OFFERS = {"DeZero": "conv deconv max-pool batch norm relu loss", "MyGrad": "conv max-pool batch norm relu loss"}


@pytest.mark.parametrize("case", TINY, ids=lambda p: p.name)
@pytest.mark.parametrize("library", numpy_libraries.PACKAGES)
@pytest.mark.filterwarnings("ignore")
def test_a_peer_computes_the_same(library, case):
    if library not in numpy_libraries.installed_libraries():
        pytest.skip(f"{library} is not installed")
    solution = numpy_libraries.implement(library, case)
    if solution is None:
        assert case.kind not in OFFERS[library] or case.settings or case.output[-1] == 1
        return
    for mine, theirs in zip(scratchnet_ops.implement(case).results(), solution.results(), strict=True):
        assert np.shape(mine) == np.shape(theirs)
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-4 * np.abs(theirs).max())


def test_our_two_passes_are_put_together(monkeypatch):
    """With a stand-in for a library: this package's own functions."""
    monkeypatch.setattr(numpy_libraries, "installed_libraries", lambda: ["Same", "None"])
    own = numpy_libraries._combine_passes(scratchnet_ops.implement(TINY[1]))
    monkeypatch.setattr(numpy_libraries, "implement", lambda name, case: own if name == "Same" else None)
    rows = list(numpy_libraries.measure_against_libraries(TINY[1], SESSION))
    assert [row.case for row in rows] == [f"{TINY[1].name} forward", f"{TINY[1].name} forward+backward"]
    assert [list(row.timings) for row in rows] == [[SCRATCHNET, "Same"]] * 2
    assert [row.flops for row in rows] == [2 * TINY[1].multiply_adds, 6 * TINY[1].multiply_adds]


def test_what_no_library_offers_is_left_out(monkeypatch):
    monkeypatch.setattr(numpy_libraries, "installed_libraries", list)
    assert list(numpy_libraries.measure_against_libraries(op_cases.update("sgd", 10), SESSION)) == []
