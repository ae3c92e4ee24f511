"""``--device gpu`` on the command line: with a device, without one, without CuPy."""

import builtins
import json
import sys

import numpy as np
import pytest

from scratchnet.cli.main import main
from scratchnet.data import read_mask
from scratchnet.engine.cuda import compiled
from scratchnet.engine.cuda.gemm import COMPUTE
from scratchnet.utils.errors import explain
from tests.engine.cuda import cublas
from tests.standin.module import cupy as standin
from tests.tiny import write_set

TRAIN = ("--model", "bloodcell", "--width", "0.1", "--batch-norm", "--epochs", "1", "--batch-size", "2")


pytestmark = pytest.mark.usefixtures("quick_reports")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A set, ``set/``, and a run on the CPU, ``run/``; tests do not write there."""
    root = tmp_path_factory.mktemp("trained")
    write_set(root / "set", 6, 32, 32)
    assert main(["train", "--data", str(root / "set"), "--out", str(root / "run"), *TRAIN]) == 0
    return root


@pytest.fixture
def call(capsys):
    """Run the command line; return (exit code, stdout, stderr)."""

    def run(*words):
        capsys.readouterr()
        code = main([str(word) for word in words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_training_evaluating_and_segmenting(xp, call, tmp_path):
    data, run = write_set(tmp_path / "set", 6, 32, 32), tmp_path / "run"
    code, said, err = call("train", "--data", data, "--out", run, *TRAIN, "--device", "gpu")
    assert (code, err) == (0, "")
    assert "epoch   1/1" in said
    assert (run / "report.html").is_file()
    found = {}
    for device in ("cpu", "gpu"):
        out = tmp_path / device
        words = (run / "checkpoint.npz", "--device", device)
        assert call("evaluate", *words, "--data", data, "--out", out)[0] == 0
        assert call("segment", *words, data / "images" / "s0.png", "--out", out)[0] == 0
        found[device] = json.loads((out / "metrics.json").read_text()), read_mask(out / "s0.png")
    assert found["gpu"][0]["iou"] == found["cpu"][0]["iou"]
    assert found["gpu"][0]["loss"] == pytest.approx(found["cpu"][0]["loss"], rel=1e-4)
    np.testing.assert_array_equal(found["gpu"][1], found["cpu"][1])


def test_scales_ensembles_boxes_and_random_fields(xp, call, tmp_path, trained):
    data, run = trained / "set", trained / "run" / "checkpoint.npz"
    ways = (
        ("--scales", "1", "1.5", "--flip"),
        ("--ensemble", run, "--crf", "--crf-iterations", "1"),
        ("--proposals", "grid", "--box-size", "32", "--max-proposals", "3"),
        ("--tile", "16"),
    )
    for i, words in enumerate(ways):
        masks = []
        for device in ("cpu", "gpu"):
            out = tmp_path / f"{i}-{device}"
            said = call("segment", run, data / "images" / "s0.png", "--out", out, "--device", device, *words)
            assert said[0] == 0, said
            masks.append(read_mask(out / "s0.png"))
        np.testing.assert_array_equal(masks[1], masks[0], err_msg=str(words))


def test_gradcheck(xp, call):
    code, said, _ = call("gradcheck", "relu", "op/max_pool2d", "--device", "gpu")
    assert code == 0
    assert "5 of 5 gradients agree" in said


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_a_precision_is_that_of_every_product(xp, call, tmp_path, precision, monkeypatch):
    if "RawModule" not in vars(xp) or xp is not standin:
        pytest.skip("only the stand-in tells how cuBLAS was called")
    data, run = write_set(tmp_path / "set", 4, 32, 32), tmp_path / "run"
    monkeypatch.setattr(cublas, "calls", [])
    words = ("--device", "gpu", "--precision", precision)
    assert call("train", "--data", data, "--out", run, *TRAIN, *words)[0] == 0
    assert call("evaluate", run / "checkpoint.npz", "--data", data, *words)[0] == 0
    assert call("segment", run / "checkpoint.npz", data / "images", "--out", tmp_path / "masks", *words)[0] == 0
    assert set(cublas.calls) == {COMPUTE[precision]}
    monkeypatch.setattr(cublas, "calls", [])
    assert call("evaluate", run / "checkpoint.npz", "--data", data, "--device", "gpu")[0] == 0
    assert set(cublas.calls) == {COMPUTE["float32"]}


def test_a_precision_is_refused_on_a_cpu(call, tmp_path):
    for words in (("train", "--data", "x", "--out", tmp_path), ("segment", "x", "y", "--out", tmp_path)):
        code, _, err = call(*words, "--precision", "tf32")
        assert code == 2
        assert err == ("scratchnet: error: --precision tf32: is for --device gpu; a CPU multiplies in float32\n")


COMMANDS = (
    ("train", "--data", "nowhere", "--out", "run"),
    ("demo", "--out", "run"),
    ("gradcheck",),
)


def assert_refused(answer, *words):
    code, said, err = answer
    assert (code, said) == (2, "")
    assert err.startswith("scratchnet: error: --device gpu: ")
    assert err.count("\n") == 1
    for word in words:
        assert word in err


@pytest.fixture
def without_cupy(monkeypatch):
    """Make an import of CuPy fail as it does where it is not installed."""
    imported = builtins.__import__

    def refusing(name, *rest):
        if name == "cupy":
            raise ModuleNotFoundError("No module named 'cupy'", name="cupy")
        return imported(name, *rest)

    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.setattr(builtins, "__import__", refusing)


@pytest.mark.parametrize("words", COMMANDS)
def test_without_cupy_one_line_says_what_to_install(call, words, without_cupy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert_refused(call(*words, "--device", "gpu"), 'pip install "cupy-cuda12x[ctk]"', "cupy-cuda13x")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", COMMANDS)
def test_without_a_gpu_one_line_says_so(call, words, tmp_path, monkeypatch):
    def count():
        raise RuntimeError("cudaErrorInsufficientDriver: CUDA driver version is insufficient\nfor CUDA runtime version")

    def missing():
        raise ImportError("Failure finding libcublasLt.so.12")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "cupy", standin)
    monkeypatch.setattr(standin.cuda.runtime, "getDeviceCount", count)
    assert_refused(call(*words, "--device", "gpu"), "cannot use a GPU here (cudaErrorInsufficientDriver: CUDA")
    monkeypatch.setattr(standin.cuda.runtime, "getDeviceCount", lambda: 0)
    assert_refused(call(*words, "--device", "gpu"), "has no GPU that CUDA can use; leave out --device gpu")
    monkeypatch.setattr(standin.cuda.runtime, "getDeviceCount", lambda: 1)
    monkeypatch.setattr(standin.cuda, "get_cublas_handle", missing)
    assert_refused(call(*words, "--device", "gpu"), "cannot use a GPU here (Failure finding libcublasLt.so.12)")
    assert not list(tmp_path.iterdir())


BANNER = """
================================================================
Failed to import CuPy.

If you installed CuPy via wheels (cupy-cudaXXX or cupy-rocm-X-X), make sure that the package matches with the version.

Original error:
  ImportError: libcuda.so.1: cannot open shared object file: No such file or directory
================================================================
"""

UNUSABLE = {
    "cudaErrorInsufficientDriver: CUDA driver version is insufficient": "older than CuPy's CUDA: nvidia-smi names",
    "nvrtc: error: invalid value for --gpu-architecture (-arch)": "CUDA: install a newer CuPy; or leave",
    "Out of memory allocating 512 bytes (allocated so far: 0 bytes).": "nvidia-smi shows by whom; or",
    'Failure finding "libcublasLt.so.12"': 'pip install "cupy-cuda12x[ctk]"',
    BANNER: "(ImportError: libcuda.so.1: cannot open shared object file: No such file or directory); NVIDIA's driver",
    "something new": "(something new); leave out --device gpu",
}


@pytest.mark.parametrize("words", UNUSABLE)
def test_what_cupy_says_of_a_gpu_that_it_cannot_use_becomes_one_line_of_advice(call, words, monkeypatch):
    def fail(*_):
        raise RuntimeError(words)

    monkeypatch.setitem(sys.modules, "cupy", standin)
    monkeypatch.setattr(standin, "ones", fail)
    answer = call("gradcheck", "--device", "gpu")
    assert_refused(answer, UNUSABLE[words])
    assert answer[2].endswith("leave out --device gpu\n")


def test_a_gpu_without_enough_memory_says_what_was_asked_and_what_to_do(call, tmp_path, monkeypatch):
    asked = "Out of memory allocating 9,000,000,000 bytes (allocated so far: 3,000,000,000 bytes)."

    def fail(*_, **__):
        raise standin.cuda.memory.OutOfMemoryError(asked)

    data = write_set(tmp_path / "set", 4, 32, 32)
    monkeypatch.setitem(sys.modules, "cupy", standin)
    monkeypatch.setattr(standin, "empty", fail)
    code, _, err = call("train", "--data", data, "--out", tmp_path / "run", *TRAIN, "--device", "gpu")
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith(
        f"scratchnet: error: the GPU does not have enough memory ({asked}); train with a smaller --batch-size"
    )
    assert "--activation-checkpointing" in err


def test_a_kernel_that_does_not_compile_is_told_in_one_line(call, tmp_path, monkeypatch):
    def refuse(**_):
        raise standin.cuda.compiler.CompileException(
            '/tmp/x.cu(12): error: identifier "foo" is undefined\n\n1 error detected in the compilation'
        )

    data = write_set(tmp_path / "set", 4, 32, 32)
    monkeypatch.setitem(sys.modules, "cupy", standin)
    monkeypatch.setattr(compiled, "_kernel", compiled._kernel.__wrapped__)
    monkeypatch.setattr(standin, "RawModule", refuse, raising=False)
    code, _, err = call("train", "--data", data, "--out", tmp_path / "run", *TRAIN, "--device", "gpu")
    assert (code, err.count("\n")) == (2, 1)
    assert "CUDA's compiler rejects scratchnet's kernels " in err
    assert '(/tmp/x.cu(12): error: identifier "foo" is undefined); try another version' in err


@pytest.mark.parametrize("words", ["cudaErrorMemoryAllocation: out of memory", "CUBLAS_STATUS_ALLOC_FAILED"])
def test_other_words_for_a_full_gpu(words):
    kind = type("CUDARuntimeError", (RuntimeError,), {"__module__": "cupy_backends.cuda.api.runtime"})
    assert explain(kind(words)).startswith(f"the GPU does not have enough memory ({words}); train with")
    assert explain(RuntimeError(words)) is None
    assert explain(kind("cudaErrorIllegalAddress: an illegal memory access was encountered")) is None


def test_evaluating_and_segmenting_without_a_gpu(call, tmp_path, trained, without_cupy):
    data, run = trained / "set", trained / "run" / "checkpoint.npz"
    assert_refused(call("evaluate", run, "--data", data, "--device", "gpu"), "needs CuPy")
    assert_refused(call("segment", run, data / "images", "--out", tmp_path / "masks", "--device", "gpu"), "needs CuPy")
    assert not (tmp_path / "masks").exists()
