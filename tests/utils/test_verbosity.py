from scratchnet.cli.parsing import say
from scratchnet.utils.progress import progress
from scratchnet.utils.verbosity import verbosity, warn, warnings_so_far


def test_lines_and_progress_are_left_out_and_come_back(capsys, monkeypatch):
    clock = iter(range(0, 1000, 20))
    monkeypatch.setattr("scratchnet.utils.progress.time.monotonic", lambda: next(clock))
    for lines, shown in ((False, True), (True, False), (True, True)):
        with verbosity(lines=lines, progress=shown):
            say("a line")
            assert list(progress([1, 2], "working")) == [1, 2]
        said = capsys.readouterr()
        assert said.out == ("a line\n" if lines else "")
        assert ("working: 1 of 2" in said.err) == shown
    say("again")
    assert capsys.readouterr().out == "again\n"


def test_warnings_are_printed_always_and_collected_inside_a_context(capsys):
    with verbosity(lines=False, progress=False):
        warn("twice")
        warn("twice")
        assert warnings_so_far() == ["twice"]
    assert warnings_so_far() == []
    assert capsys.readouterr() == ("", "warning: twice\nwarning: twice\n")
