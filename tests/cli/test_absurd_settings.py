"""Settings that nobody can mean are refused in one line, before anything is computed for them."""

import warnings

import pytest

from scratchnet.config import read_settings
from scratchnet.training.checkpoints import load_checkpoint, save_checkpoint
from scratchnet.utils import spelling
from scratchnet.utils.errors import MAX_LENGTH, UserError, explain

ABSURD = (
    "1" + "0" * 30,
    "9" * 5000,
    "1e300",
    "-1e300",
    "1e-300",
    "nan",
    "inf",
    "-inf",
    "-1",
    "0x10",
    "1_000",
    "٣",
    "½",
)

TOML = {
    "nested lists": "a = " + "[" * 5000 + "]" * 5000,
    "nested tables": "[" + ".".join(["a"] * 5000) + "]",
    "many digits": "[training]\nepochs = " + "9" * 5000,
    "a large count": "[training]\nepochs = 1" + "0" * 30,
    "nan": "[training]\nlearning_rate = nan",
    "a date": "[training]\nepochs = 2020-01-01",
    "a NUL": 'out = "a\\u0000b"\n[data]\ndata = "a\\u0000b"',
    "a key twice": "a = 1\na = 2",
    "half a character": 'out = "\\ud800"',
    "a long name": f'out = "{"a" * 5000}"\n[data]\ndata = "{"b" * 5000}"',
}


def assert_refused(answer):
    code, _, err = answer
    assert code == 2, answer
    assert err.startswith("scratchnet: error: ")
    assert err.count("\n") == 1
    assert len(err) < MAX_LENGTH + 100


@pytest.mark.parametrize("case", TOML)
def test_files_of_settings(call, tmp_path, case):
    path = tmp_path / "my.toml"
    path.write_text(TOML[case] + "\n", encoding="utf-8")
    assert_refused(call("train", "--config", path, *([] if "out" in TOML[case] else ["--out", tmp_path / "run"])))
    assert {p.name for p in tmp_path.iterdir()} <= {"my.toml"}


def test_a_byte_order_mark_is_no_mistake(tmp_path):
    path = tmp_path / "my.toml"
    path.write_text("\ufeff[training]\r\nepochs = 3\r\n", encoding="utf-8")
    assert read_settings(str(path)).training.epochs == 3


FLAGS = [
    *("epochs", "iterations", "batch-size", "gradient-accumulation", "lr-step-epochs", "patience", "seed"),
    *("val-every", "val-samples"),
    *("warmup-updates", "tile", "box-size"),
    *("learning-rate", "momentum", "weight-decay", "bias-lr-multiplier", "lr-decay", "ema", "label-smoothing"),
    *("focal-gamma", "tversky-alpha", "border-weight", "border-sigma", "elastic", "box-context"),
    *("boxes-per-object", "min-object-size"),
    *("val-fraction", "classes", "mask-threshold", "ignore-index", "brightness", "noise", "width"),
]


@pytest.mark.parametrize("flag", FLAGS)
def test_flags_of_a_training(call, tmp_path, flag):
    """There is no data set: what is not refused for its value would end with that message."""
    refused = 0
    for value in ABSURD:
        answer = call("train", "--data", tmp_path / "none", "--out", tmp_path / "run", f"--{flag}", value)
        assert_refused(answer)
        refused += "none: no such folder" not in answer[2]
    assert refused >= (6 if flag != "width" else 4)  # a width is the model's to judge
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", ABSURD)
@pytest.mark.parametrize(
    "words",
    [
        "segment {net} {image} --out {out} --crf --crf-bilateral {value} 5 3",
        "segment {net} {image} --out {out} --crf --crf-bilateral 5 5 {value}",
        "segment {net} {image} --out {out} --crf --crf-gaussian {value} 1",
        "segment {net} {image} --out {out} --crf --crf-iterations {value}",
        "segment {net} {image} --out {out} --scales {value}",
        "segment {net} {image} --out {out} --tile {value}",
        "evaluate {net} --data {set} --out {out} --band-width {value}",
        "evaluate {net} --data {set} --out {out} --size-edges {value} 1",
        "explain {net} {image} --out {out}.html --maps {value}",
        "explain {net} {image} --out {out}.html --at {value} 3",
        "data make cells {out} --count {value}",
        "data make cells {out} --magnification {value}",
        "data make cells {out} --size {value}",
        "models unet --depth {value}",
        "models unet --batch {value}",
        "bench ops --repeats {value}",
        "bench ops --threads {value}",
    ],
)
def test_flags_of_other_commands(call, plain, tmp_path, words, value):
    image = next((plain / "set" / "images").iterdir())
    places = {"net": plain / "run" / "checkpoint.npz", "set": plain / "set", "image": image, "out": tmp_path / "out"}
    answer = call(*[word.format(value=value, **places) for word in words.split()])
    if ("--tile" in words and value.startswith("1000")) or ("5 5 {value}" in words and value == "1e-300"):
        return  # one tile that is larger than the image, and a weight of next to nothing, are harmless
    assert_refused(answer)


def test_messages_lose_their_middle_when_they_repeat_something_long():
    line = explain(UserError("a" * 10_000 + " is no such file"))
    assert len(line) <= MAX_LENGTH + 3
    assert line.startswith("aaa")
    assert line.endswith("no such file")


@pytest.mark.usefixtures("deadline")
@pytest.mark.parametrize("words", [["data"], ["train"], ["train", "--model"], ["segment", "--"], []])
def test_long_words_take_no_time(call, words):
    """A guess at what was meant would compare them letter by letter with everything that is known."""
    *first, last = words or [""]
    assert_refused(call(*first, last + "weights" * 50_000))


def test_numpy_does_not_speak_up_beside_a_command(call, plain, tmp_path):
    """A network with enormous weights gives infinite scores; what is said about that is said by us."""
    checkpoint = load_checkpoint(plain / "run" / "checkpoint.npz")
    checkpoint.network.flat().values[...] = 1e30
    save_checkpoint(tmp_path / "a.npz", checkpoint)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        call("segment", tmp_path / "a.npz", plain / "set" / "images", "--out", tmp_path / "out")
        call("evaluate", tmp_path / "a.npz", "--data", plain / "set", "--out", tmp_path / "out")
    assert not [str(warning.message) for warning in heard]


def test_no_guess_is_made_at_a_word_that_nobody_mistypes(monkeypatch):
    def compare(word, *_):
        assert len(word) <= spelling.MAX_LENGTH
        return []

    monkeypatch.setattr(spelling, "get_close_matches", compare)
    assert spelling.closest_name("w" * spelling.MAX_LENGTH, ["weights"]) == ""
    assert spelling.closest_name("w" * (spelling.MAX_LENGTH + 1), ["weights"]) == ""
