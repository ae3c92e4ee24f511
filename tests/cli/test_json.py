"""Every command with --json prints one JSON object and nothing else on stdout, with --quiet nothing at all."""

import json
from importlib.util import find_spec

import pytest

from scratchnet.cli import data, evaluate, explain, export, measure, segment, train  # noqa: F401  (defines subclasses)
from scratchnet.cli.output import OutputArguments
from tests.cli.conftest import SMALL
from tests.labelled import write_labelme

NET = "{run}/checkpoint.npz"
COMMANDS = {
    "TrainArguments": ["train", "--data", "{set}", "--out", "new-{n}", *SMALL],
    "EvaluateArguments": ["evaluate", NET, "--data", "{set}", "--out", "found-{n}"],
    "SegmentArguments": ["segment", NET, "{set}/images", "--out", "masks-{n}"],
    "MeasureArguments": ["measure", "{set}/masks", "--out", "table-{n}.csv"],
    "ExplainArguments": ["explain", NET, "{set}/images/s0.png", "--out", "page-{n}.html"],
    "ExportArguments": ["export", NET, "net-{n}.onnx"],
    "CheckArguments": ["data", "check", "{set}"],
    "WeightsArguments": ["data", "weights", "{set}"],
    "ImportArguments": ["data", "import", "labelled", "--out", "imported-{n}"],
    "SuggestArguments": ["data", "suggest", NET, "{set}/images", "--uncertainty", "2"],
}
NEEDS = {"MeasureArguments": "skimage", "ExportArguments": "onnx"}


def test_all_commands_with_the_flag_are_here():
    assert {kind.__name__ for kind in OutputArguments.__subclasses__()} == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_one_object_or_nothing(call, plain, tmp_path, monkeypatch, name):
    if name in NEEDS and find_spec(NEEDS[name]) is None:
        pytest.skip(f"needs {NEEDS[name]}")
    monkeypatch.chdir(tmp_path)
    write_labelme(tmp_path / "labelled", 2)
    for n, flag in enumerate(("--json", "--quiet")):
        words = [word.format(run=plain / "run", set=plain / "set", n=n) for word in COMMANDS[name]]
        code, said, err = call(*words, flag)
        assert code == 0, err
        if flag == "--json":
            assert isinstance(json.loads(said, parse_constant=pytest.fail), dict)
        else:
            assert (said, err) == ("", "")


def test_what_is_left_out_is_an_error_that_quiet_prints(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_labelme(tmp_path / "labelled", 2)
    (tmp_path / "labelled" / "seed 1.png").unlink()
    code, said, err = call("data", "import", "labelled", "--out", "a", "--quiet")
    assert (code, said) == (1, "")
    assert "left out: " in err
    code, said, err = call("data", "import", "labelled", "--out", "b", "--json")
    assert (code, err) == (1, "")
    found = json.loads(said)
    assert (found["images"], len(found["left_out"])) == (1, 1)
