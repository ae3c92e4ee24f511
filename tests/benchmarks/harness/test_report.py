import json

import pytest

from benchmarks.harness.implementation_names import CHANNELS_LAST, COMPILED, SCRATCHNET, TORCH
from benchmarks.harness.memory import MemoryUse
from benchmarks.harness.report import Measurement, Table, write_json
from benchmarks.harness.timing import Timing


def row(case="net", flops=8_000_000, ours=(0.002, 0.004, 0.003), **others):
    named = {"torch": TORCH, "last": CHANNELS_LAST, "compiled": COMPILED}
    timings = {SCRATCHNET: Timing(ours, 0)} | {named[key]: Timing(blocks, 0) for key, blocks in others.items()}
    return Measurement(
        case, flops, timings, {SCRATCHNET: MemoryUse(7_000_000, 1), TORCH: MemoryUse(9_000_000, 2)}, {"part": "forward"}
    )


def test_ratios():
    both = row(torch=(0.004, 0.004, 0.006), last=(0.008, 0.008, 0.001))
    assert both.better_layout() == TORCH
    assert both.ratio(TORCH) == 0.75
    assert both.ratio(CHANNELS_LAST) == 0.375
    assert both.ratio_quartiles(TORCH) == (0.5, 0.75)  # of 0.5, 1.0 and 0.5, round by round
    assert both.ratio(COMPILED) is None
    assert row().better_layout() is None
    assert row().ratio(None) is None


def test_a_table_with_everything_fits_a_terminal():
    names = (SCRATCHNET, TORCH, CHANNELS_LAST, COMPILED)
    table = Table(["deconvnet-small, 8×128×128"], names, 1e9, memory=True)
    lines = [*table.heading().splitlines(), table.line(row(torch=(0.004,) * 3, last=(1.5,) * 3, compiled=(12.3,) * 3))]
    assert all(len(line) <= 120 for line in lines)
    times = ["3.00", "(2.50–3.50)", "4.00", "1500", "12300"]
    assert lines[2].split() == ["net", *times, "0.75", "0.75", "3", "267%", "7", "9"]


def test_a_table_alone():
    table = Table(["net"], (SCRATCHNET,), 1e9, memory=False)
    assert table.heading().split() == ["ms", "of", "case", "scratchnet", "(quartiles)", "GFLOP/s", "GEMM"]
    assert table.line(row(ours=(0.12, 0.02), flops=0)).split() == ["net", "70.0", "(45.0–95.0)", "–", "–"]


def test_a_disturbed_row_has_an_asterisk():
    table = Table(["net"], (SCRATCHNET,), 1e9, memory=False)
    assert table.line(row()).endswith("%")
    assert table.line(Measurement("net", 1, {SCRATCHNET: Timing((1.0, 1.0, 1.0), 1)})).endswith(" *")


def test_peers_have_a_ratio_each():
    table = Table(["net"], (SCRATCHNET, "DeZero"), 1e9, memory=False)
    timed = Measurement("net", 0, {SCRATCHNET: Timing((0.1,), 0), "DeZero": Timing((0.4,), 0)})
    assert table.heading().split().count("DeZero") == 2
    assert table.line(timed).split() == ["net", "100", "(100–100)", "400", "0.25", "–", "–"]


def test_the_file_holds_everything(tmp_path):
    measured = row(torch=(0.004, 0.004, 0.006), last=(0.008, 0.008, 0.001))
    write_json(tmp_path / "bench.json", {"date": "today"}, [measured], 1e9)
    content = json.loads((tmp_path / "bench.json").read_text())
    assert content["schema"] == 1
    assert content["date"] == "today"
    (found,) = content["rows"]
    assert (found["case"], found["part"], found["flops"]) == ("net", "forward", 8_000_000)
    assert (found["ratio"], found["better_layout"]) == (0.75, TORCH)
    assert found["ratios"][CHANNELS_LAST]["ratio"] == 0.375
    ours = found["contestants"][SCRATCHNET]
    assert ours["seconds"] == 0.003
    assert ours["quartiles"] == [0.0025, 0.0035]
    assert ours["blocks"] == [0.002, 0.004, 0.003]
    assert ours["gflops"] == pytest.approx(8 / 3)
    assert ours["share_of_ceiling"] == pytest.approx(8 / 3)
    assert ours["peak_bytes"] == 7_000_000
    assert "peak_bytes" not in found["contestants"][CHANNELS_LAST]
