import io
import sys

import pytest

from scratchnet.utils import progress as module
from scratchnet.utils.progress import EpochsBar, progress
from scratchnet.utils.verbosity import verbosity


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(module.time, "monotonic", made)
    return made


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_log_file_gets_a_line_now_and_then(capsys, clock):
    for _ in progress(range(10), "training"):
        clock.now += 4.0
    assert capsys.readouterr().err.splitlines() == ["training: 3 of 10", "training: 6 of 10", "training: 9 of 10"]


def test_a_quick_step_says_nothing(capsys, clock):
    assert list(progress([1, 2, 3], "reading")) == [1, 2, 3]
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "")


def test_the_total_may_be_given_or_unknown(capsys, clock):
    for total, shown in ((7, "7"), (None, "?")):
        for _ in progress(iter("ab"), "x", total):
            clock.now += 6.0
        assert capsys.readouterr().err == f"x: 2 of {shown}\n"


@pytest.fixture
def plain_terminal(monkeypatch):
    for name in ("JPY_PARENT_PID", "PAGER", "GIT_PAGER", "CLICOLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


@pytest.mark.parametrize(
    "variables",
    [{"JPY_PARENT_PID": "7"}, {"PAGER": "cat", "GIT_PAGER": "cat", "CLICOLOR": "1"}, {"TERM": "dumb"}],
)
def test_a_cell_of_a_notebook_gets_lines(monkeypatch, clock, plain_terminal, variables):
    """Its commands have a terminal, but one that cannot go back in its line."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    for _ in progress(range(10), "training"):
        clock.now += 4.0
    assert screen.getvalue().splitlines() == ["training: 3 of 10", "training: 6 of 10", "training: 9 of 10"]
    assert "\r" not in screen.getvalue()


def test_a_terminal_gets_a_bar(monkeypatch, plain_terminal):
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    assert list(progress(iter(range(3)), "epoch 1", 3)) == [0, 1, 2]
    assert "epoch 1" in screen.getvalue()
    assert screen.getvalue().endswith("\r")  # the bar is taken away again


def test_items_are_taken_one_at_a_time(clock):
    taken = []

    def items():
        for i in range(3):
            taken.append(i)
            yield i

    steps = progress(items(), "x")
    assert taken == []
    next(steps)
    assert taken == [0]


def test_an_exception_in_the_loop_passes_through(clock):
    steps = progress(range(3), "x")
    next(steps)
    with pytest.raises(KeyboardInterrupt):
        steps.throw(KeyboardInterrupt)


def train_for(epochs, done=0):
    with EpochsBar(epochs, done) as bar:
        for epoch in range(done, epochs):
            assert list(bar.batches(iter("ab"), f"epoch {epoch + 1}", 2)) == ["a", "b"]
            bar.epoch_done(epoch + 1)


def test_a_bar_over_all_epochs_leaves_one_line(monkeypatch, plain_terminal):
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    train_for(4, done=2)
    said = screen.getvalue()
    assert "epoch 3 of 4:  50%|" in said
    assert [line.strip() for line in said.split("\r")][-1] == "trained 2 epochs in 00:00"


def test_no_bar_over_the_epochs_where_it_is_not_wanted(monkeypatch, plain_terminal, capsys):
    train_for(2)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(sys, "stderr", screen := Terminal())
    with verbosity(lines=False, progress=False):
        train_for(2)
    assert screen.getvalue() == ""
