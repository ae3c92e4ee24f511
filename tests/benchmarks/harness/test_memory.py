import pytest

from benchmarks.harness import memory as peak
from benchmarks.harness.gemm import gemm_ceiling
from benchmarks.harness.implementation_names import CHANNELS_LAST, OURS, TORCH
from benchmarks.harness.network_cases import NetworkCase, network_case
from benchmarks.harness.processes import can_measure_memory
from benchmarks.harness.timing import Method
from scratchnet.utils.errors import UserError

linux = pytest.mark.skipif(not can_measure_memory(), reason="the system does not tell a process its highest memory")
ONCE = Method(1, 0.0, 0.0, 0)


def squares(batch):
    return network_case("squares", (64, 64), batch, options={"width": 32})


@pytest.fixture(scope="module")
def large():
    """The memory of a step with eight images."""
    return peak.peak_memory(OURS, squares(8), "sgd")


@linux
def test_a_larger_batch_needs_more(large):
    small = peak.peak_memory(OURS, squares(2), "sgd")
    # 64·64·32 numbers make 0.5 MB; of the seven maps of that size or a quarter of it a step keeps some 2 MB an image.
    assert large.peak - small.peak > 6 * 1_500_000
    assert 0 <= large.kept <= large.peak
    assert small.peak < 60_000_000  # an interpreter with its libraries would be more


@linux
def test_a_forward_pass_needs_less_memory_than_a_step(large):
    forward = peak.peak_memory(OURS, squares(8), None)
    assert 0 < forward.peak < large.peak - 10_000_000


@linux
def test_pytorch_is_measured_alike(monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(peak, "thread_count", lambda: 1)  # two threads of PyTorch spend their time waiting here
    found = peak.peak_memory(CHANNELS_LAST, squares(2), "sgd")
    assert 4_000_000 < found.peak < 60_000_000


def test_the_peak_is_counted_from_the_base(monkeypatch):
    """A base of 100, 130 after the calls, 7 more in between."""
    held, calls = iter([100, 130]), []
    monkeypatch.setattr(peak, "_build", lambda *which: lambda: calls.append(which))
    monkeypatch.setattr(peak, "keep_freed_memory", lambda: None)
    monkeypatch.setattr(peak, "memory_bytes", lambda: next(held))
    monkeypatch.setattr(peak, "forget_highest", calls.clear)
    monkeypatch.setattr(peak, "highest_above_now", lambda: 7)
    case = network_case("squares")
    assert peak._measure(OURS, case, "sgd") == peak.Peak(37, 30)
    assert calls == [(OURS, case, "sgd")] * peak.CALLS


@linux
def test_a_process_that_fails_is_reported():
    with pytest.raises(UserError, match="the process that measures the memory of scratchnet failed: "):
        peak.peak_memory(OURS, NetworkCase("squares", (3, 3), 1), "sgd")


def test_the_ceiling_is_a_rate():
    assert 1e7 < gemm_ceiling(1, ONCE, (64, 128))[OURS] < 1e13


def test_pytorch_has_a_ceiling_of_its_own():
    pytest.importorskip("torch")
    assert set(gemm_ceiling(1, ONCE, (64,), torch=True)) == {OURS, TORCH}
