"""Everything that can be typed wrong behind every command, made from the tables of their flags."""

import re
import shutil
import subprocess

import pytest

from benchmarks.harness import command as bench
from scratchnet.cli import data
from scratchnet.cli.arguments import ARGUMENTS, arguments_of
from scratchnet.cli.completion import known_words
from scratchnet.cli.flag_values import alternatives, choices, is_bool, is_pair
from scratchnet.cli.flags import flag_name, flags_of
from scratchnet.cli.main import COMMANDS
from scratchnet.cli.parsing import parse
from scratchnet.config import read_settings
from scratchnet.config.renamed import RENAMED
from scratchnet.config.sizes import Side, Size

NEED_NOTHING = {
    "demo",
    "models",
    "gradcheck",
    "exercise list",
    "bench ops",
    "bench step",
    "bench segment",
    "bench peers",
}


def options(command):
    return [flag for flag in flags_of(arguments_of(command)) if not flag.positional]


def fitting(flag):
    """Return words that are a value of a flag."""
    part = alternatives(flag.hint)[0]
    if is_bool(flag.hint):
        return []
    if words := choices(flag.hint):
        return words[:1]
    return ["4", "4", "4"][: 3 if "float, float, float" in str(part) else 1] if part is not str else ["x"]


@pytest.fixture
def refuse(call):
    """Run a command and assert that it refuses its words in one line that holds ``named``."""

    def run(command, *words, named):
        code, said, err = call(*command.split(), *words)
        assert (code, said) == (2, ""), (command, words)
        assert err.startswith("scratchnet: error: "), (command, words, err)
        assert err.count("\n") == 1, (command, words, err)
        assert named in err, (command, words, err)

    return run


def test_the_table_has_every_command():
    assert {name.split()[0] for name in ARGUMENTS} == set(COMMANDS)
    for module, name in ((data, "data"), (bench, "bench")):
        actions = set(re.findall(rf"scratchnet {name} (\w+)", module.USAGE.split("\n\n")[0]))
        assert {f"{name} {action}" for action in actions} == {key for key in ARGUMENTS if key.startswith(f"{name} ")}


@pytest.mark.parametrize("command", ARGUMENTS)
def test_values_that_are_missing(refuse, command):
    for flag in options(command):
        if not is_bool(flag.hint) and flag.alone is None:
            refuse(command, flag.name, named=flag.name)
            refuse(command, flag.name, "--device", named=flag.name)


@pytest.mark.parametrize("command", ARGUMENTS)
def test_values_that_do_not_fit(refuse, command):
    for flag in options(command):
        if not any(part is str or "str" in str(part) for part in alternatives(flag.hint)):
            refuse(command, f"{flag.name}=zebra", named=f"{flag.name} zebra")
            if not is_bool(flag.hint) and flag.alone is None:
                refuse(command, flag.name, "zebra", named=f"{flag.name} zebra")


@pytest.mark.parametrize("command", ARGUMENTS)
def test_flags_that_are_misspelt(refuse, command):
    for flag in options(command):
        wrong = flag.name[:3] + flag.name[4:] if len(flag.name) > 5 else f"{flag.name}{flag.name[-1]}"
        if wrong not in {name for known in options(command) for name in known.names}:
            refuse(command, wrong, "x", named=f"{wrong}: no such option")
            refuse(command, f"{flag.name}x", named="did you mean --")
    refuse(command, "--zebra-crossing", named="--zebra-crossing")
    refuse(command, "-q", named="-q")


def test_flags_by_an_earlier_name(refuse):
    """Every new name is a flag of some command, and the old one is answered with it."""
    known = {command: {name for flag in options(command) for name in flag.names} for command in ARGUMENTS}
    for old, new in RENAMED.items():
        commands = [command for command in ARGUMENTS if flag_name(new) in known[command]]
        assert commands
        for command in commands:
            refuse(command, flag_name(old), "1", named=f"it is called {flag_name(new)} now")
    refuse("segment", "--accumulate", "2", named="`scratchnet segment --help` lists them")


@pytest.mark.parametrize("command", ARGUMENTS)
def test_flags_that_are_doubled(refuse, command):
    for flag in options(command):
        if flag.name not in ("--config", "--threads"):
            refuse(command, flag.name, *fitting(flag), flag.name, *fitting(flag), named=f"{flag.name}: is given twice")
        if is_bool(flag.hint):
            refuse(command, *flag.names, named="is given twice")


@pytest.mark.parametrize("command", ARGUMENTS)
def test_words_that_are_too_many_or_too_few(refuse, command):
    if command not in NEED_NOTHING:
        refuse(command, named="")
    flags = flags_of(arguments_of(command))
    places = [flag for flag in flags if flag.positional]
    if not any("..." in str(flag.hint) for flag in places):
        words = [fitting(flag)[0] if choices(flag.hint) else "x" for flag in places]
        needed = [word for f in flags if f.required and not f.positional for word in (f.name, *fitting(f))]
        refuse(command, *needed, *words, "stray", named="'stray'")


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["x", "--help"], ["--out", "--help"], ["--zebra", "-h"]])
def test_help_is_given_in_every_place(call, words):
    for command in ARGUMENTS:
        code, said, err = call(*command.split(), *words)
        assert (code, err) == (0, "")
        assert said.startswith(f"usage: scratchnet {command}")
        assert "\x1b" not in said
        assert "[bold]" not in said


@pytest.mark.parametrize("group", ["data", "bench"])
def test_commands_of_two_words(refuse, group):
    refuse(group, "zebra", named="zebra")
    refuse(group, "-x", named="-x")
    for command in ARGUMENTS:
        if command.startswith(f"{group} "):
            name = command.split()[1]
            refuse(group, f"{name[0]}{name[2:]}", named=f"did you mean {name}")


@pytest.mark.parametrize("word", COMMANDS)
def test_misspelt_commands(refuse, word):
    refuse(f"{word[:-2]}{word[-1]}{word[-2]}" if len(word) > 5 else f"{word}s", named=f"did you mean {word}")


@pytest.mark.parametrize("command", ARGUMENTS)
def test_switches_are_of_one_kind(command):
    """Every one as ``--x`` and ``--no-x``; a word behind it is understood, in any case."""
    kind = arguments_of(command)
    needed = [word for f in flags_of(kind) if f.required for word in ((f.name, *fitting(f)), ("x",))[f.positional]]
    needed = ["squares" if word == "x" and "KIND" in str(flags_of(kind)) else word for word in needed]
    needed = ["bash"] if command == "completion" else needed

    def value(flag, *words):
        made = parse(kind, [*needed, *words], command, "")
        for name in flag.path:
            made = getattr(made, name)
        return made

    for flag in options(command):
        if is_bool(flag.hint):
            on, off = flag.names
            assert value(flag, on) is value(flag, on, "True") is value(flag, f"{on}=true") is True
            assert value(flag, off) is value(flag, on, "false") is False
        if flag.alone is not None:
            assert value(flag, flag.name) == value(flag, f"{flag.name}={flag.alone}") == flag.alone
            assert value(flag, flag.name, "0.75") == 0.75
        if flag.hint == Size or is_pair(flag.hint) or any(p == Size or is_pair(p) for p in alternatives(flag.hint)):
            assert value(flag, flag.name, "24") == value(flag, flag.name, "24", "24") == (24, 24)
            assert value(flag, flag.name, "24x16") == value(flag, f"{flag.name}=24x16") == (24, 16)
            assert value(flag, flag.name, "24", "16") == value(flag, flag.name, "24×16") == (24, 16)
        if Side in alternatives(flag.hint):
            assert value(flag, flag.name, "24") == value(flag, flag.name, "24", "24") == 24
            assert value(flag, flag.name, "24x24") == 24


@pytest.mark.parametrize("text", ["crop = 24", "crop = [24, 24]", 'crop = "24"', 'crop = "24x24"'])
def test_sizes_in_toml_are_written_alike(tmp_path, text):
    (tmp_path / "my.toml").write_text(f"[augmentation]\n{text}\n", encoding="utf-8")
    assert read_settings(str(tmp_path / "my.toml")).augmentation.crop == (24, 24)


def test_numbers_may_be_negative(refuse):
    refuse("train", "--data", "x", "--out", "y", "--epochs", "-1", named="--epochs -1: expected 1 to 1,000,000,000")
    refuse("explain", "c", "i", "--out", "x.html", "--maps", "-.5", named="--maps -.5: expected a whole number")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_every_flag(call, shell):
    code, said, err = call("completion", shell)
    assert (code, err) == (0, "")
    for command in ARGUMENTS:
        for flag in options(command):
            for name in flag.names:
                assert (f"-l {name[2:]}" if shell == "fish" else name) in said
    assert known_words()["train --loss"][0] == "cross-entropy"


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("tra", ["train"]),
        ("train --loss di", ["dice"]),
        ("data mak", ["make"]),
        ("bench step --batch-", ["--batch-norm"]),
        ("data make sq", ["squares"]),
        ("train --no-batch-n", ["--no-batch-norm"]),
    ],
)
def test_bash_completes(call, words, found):
    script = call("completion", "bash")[1]
    typed = ["scratchnet", *words.split()]
    script += f'\nCOMP_WORDS=({" ".join(typed)})\nCOMP_CWORD={len(typed) - 1}\n_scratchnet\necho "${{COMPREPLY[@]}}"'
    ended = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == found
