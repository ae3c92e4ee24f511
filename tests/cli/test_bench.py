import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import scratchnet
from benchmarks.harness.network_cases import network_case
from benchmarks.harness.timing import TimingSettings
from scratchnet.engine.cpu.threads import thread_count

TINY = ["--model", "squares", "--width", "4", "--size", "16", "--quick"]


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    """One block of one call, and small matrices for the peak GEMM rate."""
    monkeypatch.setattr("benchmarks.harness.session.QUICK", TimingSettings(1, 0.0, 0.0, 0))
    monkeypatch.setattr("benchmarks.harness.session.MATRIX_SIZES", (64,))
    monkeypatch.setenv("SCRATCHNET_THREADS", "1")


@pytest.fixture
def alone(monkeypatch):
    """No PyTorch, and no other library either."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "torch" else find(name, *a))


def test_a_step_without_pytorch(call, alone, tmp_path):
    code, said, err = call("bench", "step", *TINY, "--batch", "1", "2", "--no-memory", "--json", tmp_path / "a.json")
    assert (code, err) == (0, "")
    lines = said.splitlines()
    assert "PyTorch is not installed: scratchnet alone" in lines[0]
    assert lines[1].startswith("peak GEMM rate ")
    assert [line.split()[:4] for line in lines if line.startswith("squares")] == [
        ["squares", "width", "4,", "1×16×16"],
        ["squares", "width", "4,", "2×16×16"],
    ]
    content = json.loads((tmp_path / "a.json").read_text())
    assert [row["network"]["batch"] for row in content["rows"]] == [1, 2]
    assert list(content["rows"][0]["contestants"]) == ["scratchnet"]
    assert content["rows"][0]["ratio"] is None
    assert set(content["versions"]) >= {"scratchnet", "python", "numpy"}
    assert content["machine"]["threads"] == thread_count()
    assert content["date"]
    assert content["gemm_ceiling_gflops"]["scratchnet"] > 0


def test_a_step_beside_pytorch(call):
    pytest.importorskip("torch")
    code, said, err = call("bench", "step", *TINY, "--batch", "2", "--no-memory", "--optimizer", "adam")
    assert (code, err) == (0, "")
    (row,) = (line.split() for line in said.splitlines() if line.startswith("squares"))
    assert len(row) >= 4 + 8  # time, quartiles, two layouts, two ratios, rate, share


def test_the_whole_table(call, alone, monkeypatch, tmp_path):
    small = [network_case("squares", (16, 16), 2, 2, {"width": 4}), network_case("unet-same", (32, 32), 2, 2)]
    monkeypatch.setattr("benchmarks.harness.command.table_cases", lambda: small)
    monkeypatch.setattr("benchmarks.harness.command.forward_case", lambda: network_case("squares", (32, 32), 1, 2))
    code, said, err = call("bench", "step", "--model", "all", "--quick", "--no-memory", "--json", tmp_path / "a.json")
    assert (code, err) == (0, "")
    rows = json.loads((tmp_path / "a.json").read_text())["rows"]
    names = ["squares width 4, 2×16×16", "unet-same, 2×32×32", "squares, 1×32×32, forward pass only"]
    assert [row["case"] for row in rows] == names
    assert all(name in said for name in names)


def test_operations(call, alone, tmp_path):
    code, said, err = call(
        "bench", "ops", "adam", "depthwise", "--batch", "1", "--quick", "--json", tmp_path / "a.json"
    )
    assert (code, err) == (0, "")
    rows = json.loads((tmp_path / "a.json").read_text())["rows"]
    assert [row["case"] for row in rows] == [
        "conv 3×3 depthwise 128→128, 56² forward",
        "conv 3×3 depthwise 128→128, 56² backward",
        "adam, 10M numbers update",
    ]
    assert all(row["case"] in said for row in rows)


def test_segmenting(call, alone, tmp_path):
    code, said, err = call("bench", "segment", *TINY, "--no-memory", "--json", tmp_path / "a.json")
    assert (code, err) == (0, "")
    assert "squares width 4, 1×16×16" in said
    assert json.loads((tmp_path / "a.json").read_text())["rows"][0]["flops"] > 0


def test_peers_that_are_missing_are_named(call, monkeypatch):
    monkeypatch.setattr("benchmarks.harness.command.installed_libraries", list)
    code, said, err = call("bench", "peers", "--quick")
    assert (code, err) == (0, "")
    assert said.splitlines() == [
        "DeZero is not installed and left out (`pip install dezero`)",
        "MyGrad is not installed and left out (`pip install mygrad`)",
    ]


def test_threads_are_passed_on(call, alone):
    assert call("bench", "ops", "sigmoid", "--batch", "1", "--quick", "--threads", "3")[0] == 0
    assert os.environ["SCRATCHNET_THREADS"] == "3"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["opps"], "'bench opps' is no command; did you mean ops?; choose one of: ops, step, segment, peers"),
        (["ops", "cnov"], "no operation is named like 'cnov'"),
        (["ops", "--batch", "0"], "--batch 0: expected 1 to 100000"),
        (["ops", "--threads", "0"], "--threads 0: expected the number of cores to use, 1 to 256"),
        (["ops", "--repeats", "0"], "--repeats 0: expected 1 to 100000"),
        (["step", "--batch", "4", "0"], "--batch 0: expected 1 to 100000"),
        (["step", "--classes", "0"], "--classes 0: expected 2 to 256"),
        (["step", "--model", "cells"], "model 'cells' does not exist; choose one of: "),
        (["step", "--model", "cells"], "vgg16-mirror, all"),
        (["step", "--model", "all", "squares"], "--model all squares: 'all' stands alone"),
        (["step", "--model", "all", "--size", "64", "--width", "2"], "--model all: every network has its own settings"),
        (["step", "--size", "big"], "--size big: expected HxW"),
        (["step", "--model", "squares", "--unpool", "nearest"], "model 'squares' has no option 'unpool'"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_measured(call, words, error):
    code, said, err = call("bench", *words)
    assert (code, said) == (2, "")
    assert error in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("words", [["ops"], ["step"], ["segment"]], ids=" ".join)
def test_a_file_that_cannot_be_written_shows_before_measuring(call, words, tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.harness.command.start_session", None)  # called, it would end in a TypeError
    (tmp_path / "file").write_text("mine")
    for name, error in (("file/a.json", "file/a.json: cannot be written"), (".", "is a folder, expected the name")):
        code, said, err = call("bench", *words, "--json", tmp_path / name)
        assert (code, said) == (2, "")
        assert error in err
        assert err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_help(call):
    assert call("bench")[1] == call("bench", "--help")[1]
    assert "scratchnet bench step" in call("bench")[1]


def test_the_installed_package_says_where_the_benchmarks_are(call, monkeypatch, tmp_path):
    monkeypatch.setattr("scratchnet.cli.bench.HARNESS", tmp_path / "benchmarks" / "harness")
    code, said, err = call("bench", "step")
    assert (code, said) == (2, "")
    assert err == (
        "scratchnet: error: the installed package has no benchmarks; run `python -m benchmarks` in a clone of the "
        "repository\n"
    )


def test_from_the_clone_without_the_command(tmp_path):
    clone = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "ops", "--help"], cwd=clone, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("usage: scratchnet bench ops ")


def test_a_wheel_alone_completes_its_own_commands(tmp_path):
    """The package without the folder ``benchmarks`` beside it."""
    shutil.copytree(
        Path(scratchnet.__file__).parent, tmp_path / "scratchnet", ignore=shutil.ignore_patterns("__pycache__")
    )
    for words, said in (
        (["completion", "fish"], "-a 'demo train"),
        (["completion", "bash"], "data)"),
        (["--help"], "  bench "),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "scratchnet", *words], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert said in done.stdout
