"""Steps on a GPU, measured with the CuPy stand-in and with PyTorch on the CPU."""

import argparse
import importlib.util
import itertools
import json
import runpy
import sys
import types
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.harness import gpu
from benchmarks.harness.gpu_results import Configuration, GpuMeasurement, find_mismatches, ratios
from benchmarks.harness.implementations import initialized_network, make_batch
from benchmarks.harness.network_cases import NetworkCase, network_case
from benchmarks.harness.step_results import StepResult
from benchmarks.harness.torch_network import TorchNetwork, parameter_values
from scratchnet.cli.main import main
from scratchnet.engine import dispatch
from scratchnet.engine.cuda import compiled, conv_algorithm, convolution
from scratchnet.engine.cuda.conv_algorithm import Algorithm
from scratchnet.engine.modes import matrix_precision, matrix_precision_in_use
from tests.engine.cuda import shim
from tests.standin import kernels
from tests.standin.kernels import find_no_kernel
from tests.standin.module import cupy as standin

CASE = network_case("squares", (16, 16), 2, options={"width": 4})


class Event:
    """A CUDA event whose clock advances by 2 ms from one event to the next."""

    clock = itertools.count()

    def record(self):
        self.at = next(self.clock)

    def synchronize(self):
        pass


@pytest.fixture
def device(monkeypatch):
    """The CuPy stand-in with events and a device name."""
    pool = types.SimpleNamespace(total_bytes=lambda: 12_000_000, free_all_blocks=lambda: None)
    properties = {"name": b"no GPU"}
    more = {
        "Event": Event,
        "get_elapsed_time": lambda begin, end: 2.0 * (end.at - begin.at),
    }
    for name, value in more.items():
        monkeypatch.setattr(standin.cuda, name, value, raising=False)
    monkeypatch.setattr(standin.cuda.runtime, "getDeviceProperties", lambda i: properties, raising=False)
    monkeypatch.setattr(standin.cuda.runtime, "runtimeGetVersion", lambda: 13000, raising=False)
    monkeypatch.setattr(standin, "get_default_memory_pool", lambda: pool, raising=False)
    monkeypatch.setattr(dispatch, "find_fast_form", find_no_kernel)
    monkeypatch.setitem(sys.modules, "cupy", standin)


def test_our_step_is_timed_by_events(device, monkeypatch):
    precisions = []
    step = gpu.ScratchnetStep.__call__

    def watched(self):
        precisions.append(matrix_precision_in_use())
        step(self)

    monkeypatch.setattr(gpu.ScratchnetStep, "__call__", watched)
    result = gpu.measure(Configuration("scratchnet", "tf32"), CASE, "sgd", 4)
    assert result.seconds == (0.002,) * 4
    assert result.peak == 12_000_000
    assert precisions == ["tf32"] * (1 + gpu.WARM_UP + 4)
    assert list(result.outputs) == ["tf32"]
    assert result.losses[1] < result.losses[0]


def test_pytorch_is_timed_by_its_own_events(monkeypatch):
    torch = pytest.importorskip("torch")
    on_cpu = {"Event": lambda enable_timing: TorchEvent(), "empty_cache": int, "reset_peak_memory_stats": int}
    for name, value in (on_cpu | {"max_memory_reserved": lambda: 5}).items():
        monkeypatch.setattr(torch.cuda, name, value)
    monkeypatch.setattr(gpu, "TorchNetwork", lambda network, values, last, _: TorchNetwork(network, values, last))
    result = gpu.measure(Configuration("torch", "float32", channels_last=True), CASE, "sgd", 3)
    assert (result.seconds, result.peak) == ((0.002,) * 3, 5)
    assert result.losses[1] < result.losses[0]
    assert list(result.outputs) == ["float64", "float32"]


class TorchEvent(Event):
    """An event with PyTorch's interface."""

    def elapsed_time(self, end):
        return 2.0 * (end.at - self.at)


def test_pytorch_in_half_the_space_computes_the_same_to_three_digits(device):
    torch = pytest.importorskip("torch")
    net = TorchNetwork(CASE.network(), parameter_values(initialized_network(CASE)), True, "cpu")
    step = gpu.AutocastStep(net, make_batch(CASE), "sgd")
    seen = []
    whole, net.functional.conv2d = net.functional.conv2d, lambda *a: seen.append(whole(*a).dtype) or whole(*a)
    try:
        loss = step.gradients()[1].item()
    finally:
        net.functional.conv2d = whole
    ours = gpu.measure(Configuration("scratchnet", "float32"), CASE, "sgd", 1)
    assert loss == pytest.approx(ours.losses[0], rel=1e-2)
    assert set(seen) == {torch.bfloat16}


def test_ratios_are_to_the_faster_layout_in_the_same_precision():
    results = {
        "scratchnet float32": GpuMeasurement((3.0, 2.0, 4.0), 1, (), saw()),
        "scratchnet tf32": GpuMeasurement((1.0,), 1, (), saw("tf32")),
        "torch float32": GpuMeasurement((2.0,), 1, (), saw(off=0.1)),
        "torch float32 channels_last": GpuMeasurement((6.0,), 1, (), saw()),
    }
    assert ratios(results) == {"float32": 1.5}


def saw(*precisions, off=0.0):
    """A step result whose logits differ by ``off``."""
    found = StepResult(np.full((1, 2, 2, 2), 1 + off), np.ones(5), np.array(0.7))
    return dict.fromkeys(precisions or ("float32",), found)


@pytest.mark.parametrize("wrong", [{"off": 0.3}, {"off": np.nan}])
def test_who_computes_something_else_is_compared_with_nobody(wrong):
    results = {
        "scratchnet float32": GpuMeasurement((3.0,), 1, (), saw()),
        "torch float32": GpuMeasurement((2.0,), 1, (), saw(**wrong)),
        "torch float32 channels_last": GpuMeasurement((6.0,), 1, (), saw()),
    }
    assert ratios(results) == {"float32": 0.5}
    assert list(find_mismatches(results)) == ["torch float32"]
    assert find_mismatches(results)["torch float32"].startswith("in float32: output off by ")
    del results["scratchnet float32"]
    assert ratios(results) == {}
    assert len(find_mismatches(results)) == 2
    assert all("nothing to compare with" in said for said in find_mismatches(results).values())


def test_the_command(device, capsys, monkeypatch, tmp_path):
    def measured(configuration, case, optimizer, steps):
        if configuration.precision == "bf16" and not configuration.channels_last:
            raise RuntimeError("out of memory")
        wrong = configuration.name == "torch float32"
        return GpuMeasurement((0.5,) * steps, 10**9, (2.0, 1.0), saw(configuration.precision, off=float(wrong)))

    monkeypatch.setattr(gpu, "measure_in_process", measured)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    words = ["--model", "squares", "--width", "4", "--size", "16", "--batch", "2", "--device", "gpu", "--quick"]
    assert main(["bench", "step", *words, "--json", str(tmp_path / "a.json")]) == 1
    said = capsys.readouterr().out
    assert "torch bf16 does not take part: out of memory" in said
    assert "torch float32 computes something else than scratchnet float32 (in float32: output off by 1.0e+00)" in said
    assert "tf32: 1.00 of the time of PyTorch's faster layout" in said
    content = json.loads((tmp_path / "a.json").read_text())
    assert content["machine"]["gpu"] == "no GPU"
    assert len(content["rows"][0]["contestants"]) == 8
    assert list(content["rows"][0]["objections"]) == ["torch float32"]
    assert content["rows"][0]["contestants"]["torch tf32"]["steps"] == [0.5] * 3


@pytest.fixture
def script(device, monkeypatch):
    """``benchmarks/gpu_forms.py``."""
    folder = Path(__file__).parents[3] / "benchmarks"
    monkeypatch.syspath_prepend(str(folder))
    loaded = runpy.run_path(str(folder / "gpu_forms.py"))
    yield loaded["main"].__globals__
    conv_algorithm.table.cache_clear()


def test_every_form_of_a_convolution_is_timed_and_the_quickest_is_used(script, monkeypatch, tmp_path, capsys):
    """The measured thresholds are written to the file, and the file determines the choice."""
    if not shim.has_compiler():
        pytest.skip("no g++ to compile the kernels with")
    kernels.install(standin, monkeypatch)
    monkeypatch.setattr(conv_algorithm, "__file__", str(tmp_path / "conv_algorithm.py"))
    monkeypatch.setattr(conv_algorithm, "files", lambda package: tmp_path)
    for name in ("conv_algorithm.json", "implicit.cu"):
        (tmp_path / name).write_text((Path(compiled.__file__).parent / name).read_text())
    conv_algorithm.table.cache_clear()
    times = {Algorithm.IMPLICIT: 3, Algorithm.SHIFTED: 2, Algorithm.WINOGRAD: 1, Algorithm.COLUMNS: 4}

    def milliseconds(call):
        call()
        slow = matrix_precision_in_use() == "tf32"
        form = convolution.choose()
        return 1 if slow and form is Algorithm.COLUMNS else times[form]

    layers = [(1, 4, 8, 9), (4, 8, 3, 2)]
    shapes = []

    def theirs(torch, call):
        made = call()
        shapes.extend(tuple(a.shape) for a in (made if isinstance(made, tuple) else [made]) if a is not None)
        return 0.5

    monkeypatch.setattr(script["gpu_peers"], "milliseconds", theirs)
    monkeypatch.setattr(script["gpu_peers"].measure_layer, "__defaults__", ("cpu",))
    script |= {"LAYERS": layers, "milliseconds": milliseconds}
    script["TRIED"] = {name: (values[0], 0, script["NEVER"]) for name, values in script["TRIED"].items()}
    given = SimpleNamespace(file=str(tmp_path / "a.json"), use=True)
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", lambda self: given)
    script["main"]()
    assert "  4×8       3 → 2    tf32     COLUMNS                 1.000    1.000    1.000 *" in capsys.readouterr().out
    content = json.loads((tmp_path / "a.json").read_text())
    if importlib.util.find_spec("torch") is not None:
        assert shapes[:3] == [(1, 9, 4, 4), (9, 8, 3, 3), (1, 8, 4, 4)]
        assert len(content["rows"]) == 2 * 3 * (4 + 2)
    assert content["gpu"] == "no GPU"
    conv_algorithm.table.cache_clear()
    assert conv_algorithm.table().gpu == "no GPU"
    x, weight = np.empty((1, 4, 4, 8), np.float32), np.empty((3, 3, 8, 9), np.float32)
    for precision, form in (("float32", Algorithm.WINOGRAD), ("tf32", Algorithm.COLUMNS), ("bf16", Algorithm.SHIFTED)):
        with matrix_precision(precision):
            assert conv_algorithm.choose(x, weight, script["CONV"], (4, 4)) is form


def test_the_package_says_that_its_table_is_an_estimate_until_a_gpu_has_written_it():
    content = json.loads((Path(compiled.__file__).parent / conv_algorithm.TABLE).read_text(encoding="utf-8"))
    if content["gpu"] is None:
        assert content["about"].startswith("An estimate")
        assert "As long as it names no GPU it is an estimate" in conv_algorithm.__doc__
    else:
        assert content["about"].startswith(f"Measured on {content['gpu']}")
    assert list(conv_algorithm.Table.of(content).thresholds) == ["float32", "tf32", "bf16"]


def test_a_process_that_fails_is_reported_with_its_last_line():
    with pytest.raises(RuntimeError, match=r"CuPy|nothing"):
        gpu.measure_in_process(Configuration("scratchnet", "float32"), NetworkCase("nothing", (8, 8), 1), "sgd", 1)
