"""The scripts that print the figures of the documentation still run, on tiny networks."""

import importlib
import json
import sys
from functools import partial

import numpy as np
import pytest
from PIL import Image, ImageFilter

from benchmarks import cores, counts, own_images, summary, tricks
from benchmarks.harness.network_cases import network_case
from scratchnet import precise
from scratchnet.data import open_dataset
from scratchnet.data.frequencies import count_classes
from scratchnet.engine.capture import Program
from scratchnet.engine.capture.worker_processes import can_fork
from scratchnet.engine.cpu import depthwise, threads
from scratchnet.models import build

SCRIPTS = (
    "conv_forms",
    "cores",
    "counts",
    "float32_errors",
    "gpu",
    "gpu_camvid",
    "gpu_peers",
    "label_next",
    "lock",
    "membranes_study",
    "own_images",
    "paper_size",
    "ranks",
    "scaling",
    "shapes_study",
    "stain_study",
    "summary",
    "under_load",
    "winograd_curves",
)


@pytest.fixture
def arguments(monkeypatch):
    def give(*words):
        monkeypatch.setattr(sys, "argv", ["script", *words])

    return give


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_imported_without_running(name, monkeypatch):
    for variable in ("OPENBLAS_NUM_THREADS", "SCRATCHNET_THREADS"):  # ranks.py sets them
        monkeypatch.setenv(variable, "1")
    assert importlib.import_module(f"benchmarks.{name}").__doc__


def test_the_summary_of_several_runs(tmp_path, capsys):
    """The median of three ratios and their range; a case that one run lacks is left out."""

    def row(case, ours, ratio):
        found = {"scratchnet": {"seconds": ours, "peak_bytes": 2e6}}
        found["torch"] = {"seconds": 9.0, "peak_bytes": 4e6}
        found["torch channels_last"] = {"seconds": 2.5, "peak_bytes": 3e6}
        return {"case": case, "ratio": ratio, "better_layout": "torch channels_last", "contestants": found}

    for i, (ours, ratio) in enumerate([(0.1, 0.5), (0.3, 0.9), (0.2, 0.6)]):
        rows = [row("a", ours, ratio)] + [row("b", ours, ratio)] * (i < 2)
        (tmp_path / f"{i}.json").write_text(json.dumps({"rows": rows}))
    summary.main([str(tmp_path / f"{i}.json") for i in range(3)])
    assert capsys.readouterr().out.splitlines()[2:] == ["| a | 200 ms | 2500 ms | 0.60 | 0.50–0.90 | 2 MB, 3 MB |"]


def test_each_optimisation_is_disabled_once(monkeypatch, capsys, arguments):
    arguments("--repeats", "1")
    monkeypatch.setattr(tricks, "MODELS", {"tiny": lambda: build("deconvnet-small", 2, size=32, width=4)})
    monkeypatch.setattr(tricks.np.random, "default_rng", lambda _: Draws())
    tricks.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "tiny"
    assert [line[2:46].strip() for line in lines[2:]] == list(tricks.VARIANTS)


class Draws:
    """Two images of 32×32 pixels instead of eight of 128×128."""

    def standard_normal(self, shape, dtype):
        return tricks.np.ones((2, 32, 32, 3), dtype)

    def integers(self, low, high, shape):
        return tricks.np.zeros((2, 32, 32), int)


def test_messages_of_processes_are_estimated(capsys, arguments):
    from benchmarks import ranks

    arguments("--model", "squares", "--width", "4", "--size", "16", "--batch", "2", "--rounds", "1", "--steps", "1")
    ranks.main()
    assert "a step sends 12 messages of 12,600 bytes in all, 11,992 of them the gradient" in capsys.readouterr().out


@pytest.mark.skipif(not can_fork(), reason="needs fork")
def test_shares_of_every_other_piece_are_shares(monkeypatch):
    assert threads.split_evenly([0, 1, 2, 3], 2) == [[0, 1], [2, 3]]
    assert cores.every_other([0, 1, 2, 3], 2) == [[0, 2], [1, 3]]


def test_calls_are_counted():
    a, b, c = (np.ones(shape, np.float32) for shape in ((2, 3, 4), (4, 5), (2, 3, 5)))
    rows, kernel, sums = (np.ones(shape) for shape in ((1, 8, 3, 3, 6), (3, 3, 6), (1, 8, 6)))
    calls = {
        partial(np.matmul, a, b, out=c): (120, 0),
        partial(np.matmul, np.ones(4), b, out=c[0, 0]): (20, 0),
        partial(np.add, b, 1, b): (0, 4 * 40),
        partial(np.copyto, c, b[:3]): (0, 4 * 45),
        partial(partial(depthwise._einsum, "nrijk,ijk->nrk"), rows, kernel, sums): (432, 8 * 4 * 432),
        partial(print, c, partial(np.sum, a, axis=0)): (0, 4 * (30 + 24)),
    }
    for call, (multiply_adds, moved) in calls.items():
        counted = counts.count_call(call)
        assert (counted.multiply_adds, counted.moved_bytes, counted.calls) == (multiply_adds, moved, 1)
    assert list(counts.count_call(partial(np.matmul, a, b, c)).products) == [2]  # the smallest dimension is 3


def test_the_slowest_core_of_a_stage_counts():
    program = Program()
    call = partial(np.add, np.ones(2), np.ones(2), np.ones(2))
    program.stages = [[[call]], [[call, call], [call]]]
    everything, slowest, serial = counts.count_program(program, counts.Rates({1: 1.0}, 0.5, 2.0))
    assert (everything.calls, slowest.calls) == (4, 3)
    assert serial == 0.5 * 48 + 2


def test_the_products_of_a_step_are_counted(monkeypatch, capsys, arguments):
    """The direct sum makes all multiplications of the forward pass, and those of both gradients."""
    tiny = network_case("squares", (32, 32), 4, 2, {"width": 16})
    arguments("--repeats", "1")
    monkeypatch.setattr(counts, "table_cases", lambda: [tiny])
    with precise():
        counts.main()
    (cells,) = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()[-1:]]
    assert cells[0] == "squares width 16, 4×32×32"
    direct, made = (float(cell.removesuffix(" G")) for cell in cells[1:3])
    assert direct <= made < 1.3 * direct


def test_own_images_hold_a_rare_class(tmp_path, arguments, capsys):
    arguments(str(tmp_path / "set"), "--count", "12")
    assert own_images.main() == 0
    assert "scratchnet train --data" in capsys.readouterr().out
    dataset = open_dataset(tmp_path / "set", classes=3)
    assert len(dataset) == 12
    assert len({dataset.size(index) for index in range(12)}) > 6
    shares = count_classes(dataset).pixels / count_classes(dataset).pixels.sum()
    assert 0.05 < shares[1] < 0.3
    assert 0.001 < shares[2] < 0.01
    with pytest.raises(SystemExit, match="exists; name a new folder"):
        own_images.main()


def test_membranes_are_thin_dark_and_no_threshold_finds_them(tmp_path):
    from benchmarks import membranes_study

    membranes_study.write(tmp_path / "data", {"train": 2, "test": 2})
    images, masks = membranes_study.read(tmp_path / "data", "train")
    assert images.shape == (2, membranes_study.SIDE, membranes_study.SIDE)
    assert set(np.unique(masks)) == {0, 255}
    assert 0.15 < (masks == 0).mean() < 0.28
    assert images[masks > 0].mean() - images[masks == 0].mean() > 20
    thick = ImageFilter.MaxFilter(21)  # white reaches ten pixels into the black
    assert all((np.asarray(Image.fromarray(mask).filter(thick)) == 0).mean() < 0.002 for mask in masks)
    scores = membranes_study.best_threshold(tmp_path / "data")
    assert 0.75 < scores["accuracy"] < 0.88
    assert scores["IoU"] < 0.5


def test_flags_for_membranes_are_compared(tmp_path, arguments, monkeypatch, capsys):
    from benchmarks import membranes_study

    monkeypatch.setattr(membranes_study, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(membranes_study, "SPLITS", {"train": 2, "val": 1, "test": 1})
    monkeypatch.setattr(membranes_study, "COMMAND", "--model unet-same --width 0.05 --depth 1")
    monkeypatch.setattr(membranes_study, "ROWS", {"turned": "--mask-format binary --rotate90 --crop 32 32"})
    stored = {
        "command": membranes_study.COMMAND,
        "epochs": 1,
        "flags": membranes_study.ROWS,
        "test images": {"earlier": {}},
    }
    for epochs, rows in ((2, {"best threshold", "turned"}), (1, {"best threshold", "turned", "earlier"})):
        membranes_study.RESULTS.write_text(json.dumps(stored), encoding="utf-8")
        arguments("--rows", "turned", "--seeds", "0", "1", "--epochs", str(epochs), "--folder", str(tmp_path / "study"))
        membranes_study.main()  # the second time, the trained networks are read
        found = json.loads(membranes_study.RESULTS.read_text(encoding="utf-8"))["test images"]
        assert found.keys() == rows
    assert found["turned"].keys() == {"0", "1"}
    assert all(0.1 < scores["accuracy"] < 1 and scores["seconds"] > 0 for scores in found["turned"].values())
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed] == ["best", "turned"] * 2
    assert printed[1] == printed[3]


def test_other_laboratories_keep_white_and_the_order_of_densities():
    from benchmarks.stain_study import LABORATORIES

    grey = np.repeat(np.arange(40, 256, dtype=np.uint8)[:, None, None], 3, axis=2)
    for laboratory in LABORATORIES.values():
        recoloured = laboratory.recolour(grey)
        light = 255 * np.array(laboratory.light) ** laboratory.power
        assert abs(recoloured[-1, 0] - light).max() < 8
        assert (np.diff(recoloured[:, 0].astype(int), axis=0) >= 0).all()


def test_forms_are_timed_beside_the_direct_sum(capsys, arguments, monkeypatch):
    from benchmarks import conv_forms

    monkeypatch.setenv("SCRATCHNET_THREADS", "1")
    monkeypatch.setattr(conv_forms, "find_spec", lambda _: None)
    arguments("7×7 64", "depthwise", "--repeats", "1", "--batch", "1")
    conv_forms.main()
    header, _, *rows = capsys.readouterr().out.splitlines()
    assert header == "| layer | forward | forward, direct | backward | backward, direct |"
    assert [row.split(" | ")[0] for row in rows] == ["| conv 7×7 64→64, 56²", "| conv 3×3 depthwise 128→128, 56²"]


def test_errors_of_every_form_are_printed(capsys, arguments, monkeypatch):
    from benchmarks import float32_errors

    monkeypatch.setattr(float32_errors, "find_spec", lambda _: None)
    whole = float32_errors.cases(8)
    monkeypatch.setattr(float32_errors, "cases", lambda _: [whole[0], whole[7], whole[10]])
    arguments("--draws", "1", "--channels", "8")
    float32_errors.main()
    rows = capsys.readouterr().out.splitlines()
    assert [row.split(" | ")[0] for row in rows[2:]] == [f"| {whole[i].name}" for i in (0, 7, 10)]
    assert all(0 < float(cell) < 1e-5 for row in rows[2:] for cell in row.split("|")[2].split(","))


def test_every_way_of_replaying_is_timed(capsys, arguments):
    from benchmarks import under_load

    arguments("--size", "32", "--batch", "1", "--programs", "0", "1", "--seconds", "0.2")
    under_load.main()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["other", "0", "1"]
    assert all(line.count(" ms") == len(under_load.WAYS) for line in lines[1:])


def test_cost_against_size_and_batch_is_printed_and_drawn(tmp_path, capsys, arguments, monkeypatch):
    from benchmarks import scaling

    def point(case, _):
        pixels = case.batch * case.size[0] * case.size[1] / 1000
        return scaling.Point(case.size[0], case.batch, 2 * pixels, 3 * pixels, 4 * pixels, 5 * pixels)

    monkeypatch.setattr(scaling, "measure_point", point)
    monkeypatch.setattr(scaling, "start_session", lambda *_, **__: Nothing())
    table, picture = tmp_path / "scaling.json", tmp_path / "scaling.png"
    arguments("--sizes", "32", "64", "--batches", "1", "2", "--json", str(table), "--out", str(picture))
    scaling.main()
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split()[0] for row in rows] == ["1×32×32", "1×64×64", "1×128×128", "2×128×128"]
    assert all("2000.0 µs" in row and "3000.0 kB" in row for row in rows)
    assert [len(json.loads(table.read_text())[key]) for key in ("size", "batch")] == [2, 2]
    assert picture.stat().st_size > 10_000


class Nothing:
    """A session that measures nothing."""

    def heading(self):
        return "a machine"

    def about(self):
        return {}
