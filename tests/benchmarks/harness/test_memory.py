import pytest

from benchmarks.harness import memory
from benchmarks.harness.gemm import peak_gemm_rates
from benchmarks.harness.implementation_names import CHANNELS_LAST, SCRATCHNET, TORCH
from benchmarks.harness.network_cases import NetworkCase, network_case
from benchmarks.harness.processes import can_measure_memory
from benchmarks.harness.timing import TimingSettings
from scratchnet.utils.errors import UserError

linux = pytest.mark.skipif(not can_measure_memory(), reason="the system does not tell a process its highest memory")
ONCE = TimingSettings(1, 0.0, 0.0, 0)


def squares(batch):
    return network_case("squares", (64, 64), batch, options={"width": 32})


@pytest.fixture(scope="module")
def large():
    """Memory of a step with eight images."""
    return memory.measure_memory(SCRATCHNET, squares(8), "sgd")


@linux
def test_a_larger_batch_needs_more(large):
    small = memory.measure_memory(SCRATCHNET, squares(2), "sgd")
    # 64·64·32 numbers make 0.5 MB; of the seven maps of that size or a quarter of it a step keeps some 2 MB an image.
    assert large.peak - small.peak > 6 * 1_500_000
    assert 0 <= large.retained <= large.peak
    assert small.peak < 60_000_000  # an interpreter with its libraries would be more


@linux
def test_a_forward_pass_needs_less_memory_than_a_step(large):
    forward = memory.measure_memory(SCRATCHNET, squares(8), None)
    assert 0 < forward.peak < large.peak - 10_000_000


@linux
def test_pytorch_is_measured_alike(monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(memory, "thread_count", lambda: 1)  # two threads of PyTorch spend their time waiting here
    found = memory.measure_memory(CHANNELS_LAST, squares(2), "sgd")
    assert 4_000_000 < found.peak < 60_000_000


def test_the_peak_is_counted_from_the_base(monkeypatch):
    """The base is 100; 130 remain after the calls, and the peak is 7 higher."""
    held, calls = iter([100, 130]), []
    monkeypatch.setattr(memory, "_build", lambda *which: lambda: calls.append(which))
    monkeypatch.setattr(memory, "keep_freed_memory", lambda: None)
    monkeypatch.setattr(memory, "memory_in_use", lambda: next(held))
    monkeypatch.setattr(memory, "reset_peak_memory", calls.clear)
    monkeypatch.setattr(memory, "peak_above_current", lambda: 7)
    case = network_case("squares")
    assert memory._measure(SCRATCHNET, case, "sgd") == memory.MemoryUse(37, 30)
    assert calls == [(SCRATCHNET, case, "sgd")] * memory.CALLS


@linux
def test_a_process_that_fails_is_reported():
    with pytest.raises(UserError, match="the process that measures the memory of scratchnet failed: "):
        memory.measure_memory(SCRATCHNET, NetworkCase("squares", (3, 3), 1), "sgd")


def test_the_peak_gemm_rate_is_positive():
    assert 1e7 < peak_gemm_rates(1, ONCE, (64, 128))[SCRATCHNET] < 1e13


def test_pytorch_has_a_gemm_rate_of_its_own():
    pytest.importorskip("torch")
    assert set(peak_gemm_rates(1, ONCE, (64,), torch=True)) == {SCRATCHNET, TORCH}
