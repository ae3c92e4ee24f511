"""report.html while a training runs, and after it was interrupted."""

import csv
import re

import pytest

from scratchnet.cli import training_report
from scratchnet.cli.training_report import TrainingReport, choose_examples
from scratchnet.config import TrainSettings
from scratchnet.training import loop
from scratchnet.utils.errors import UserError
from tests.tiny import Source, run, sample

REFRESH = '<meta http-equiv="refresh" content="'


@pytest.fixture
def stopping(monkeypatch):
    """Raise an error in the n-th step of a training."""

    def stop(steps, error):
        count = iter(range(1, 1000))
        gradient = loop.gradient

        def counted(*given):
            if next(count) == steps:
                raise error
            return gradient(*given)

        monkeypatch.setattr(loop, "gradient", counted)

    return stop


def test_an_interrupted_training_says_how_to_continue(train, images, tmp_path, stopping):
    stopping(4, KeyboardInterrupt())  # two steps per epoch
    code, _, err = train(images, tmp_path / "my run", "--epochs", "3")
    assert code == 130
    page = (tmp_path / "my run" / "report.html").read_text()
    assert "Interrupted after epoch 1 of 3." in page
    assert re.search("<code>scratchnet train <span>--out</span> .*my run&#x27; <span>--resume</span></code>", page)
    assert page.count("<img") == 2 * 4
    assert all(f'alt="s{index}: {view}"' in page for index in (4, 5) for view in ("image", "truth", "errors"))
    assert REFRESH not in page
    assert "<summary>Settings</summary>" in page
    assert f"`scratchnet train --out '{tmp_path / 'my run'}' --resume` continues" in err


def test_a_training_that_diverges_is_not_to_be_continued(train, images, tmp_path, stopping):
    stopping(1, UserError("the loss became nan"))
    assert train(images, tmp_path / "run")[0] == 2
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Stopped by an error (the loss became nan) in epoch 1 of 1." in page
    assert "--resume" not in page


def test_an_interruption_before_the_training(train, images, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("scratchnet.cli.training_setup.check_images", interrupted)
    _, said, err = train(images, tmp_path / "run")
    assert (said, err) == ("", "\nscratchnet: interrupted; the training had not begun, and nothing was written\n")
    assert not list((tmp_path / "run").glob("[a-z]*"))


def test_warnings_and_recalibration_are_in_the_last_report(train, images, tmp_path, monkeypatch):
    monkeypatch.setattr("scratchnet.cli.training_checks.available_memory", lambda: 1000)
    code, said, _ = train(images, tmp_path / "run", "--batch-norm", "--epochs", "2")
    assert code == 0
    page = (tmp_path / "run" / "report.html").read_text()
    assert "<b>Warning:</b> a training step needs about" in page
    assert re.search("Trained for 2 epochs in [0-9]+ s[.]", page)
    assert REFRESH not in page
    note = re.search("After the training, batch norm.*", said)[0]
    assert note.replace("'", "&#x27;") in page
    with (tmp_path / "run" / "log.csv").open(newline="") as file:
        logged = {row["epoch"]: f"{float(row['val_mean_iou']):.4f}" for row in csv.DictReader(file)}
    best = re.search("best epoch ([0-9])", said)[1]
    assert f"from 2 training batches (--recalibrate): the mean IoU {logged[best]} of epoch {best} in log.csv" in note


class Clock:
    def __init__(self):
        self.now = 50.0

    def perf_counter(self):
        return self.now

    def strftime(self, _):
        return "12:00:00"


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(training_report, "time", made)
    return made


def report_of(made):
    return TrainingReport(TrainSettings(), made, made.loop.loader.data.val, "title", False)


def test_reports_take_a_twentieth_of_the_time_at_most(tmp_path, clock, monkeypatch):
    made = run(tmp_path, epochs=50)
    report, written = report_of(made), []

    def write(status):
        clock.now += 1.0
        written.append(status.epoch)

    monkeypatch.setattr(report, "_write", write)
    monkeypatch.setattr(report, "_examples", tuple)
    for epoch in range(1, 51):
        clock.now += 4.0
        made.progress.epoch = epoch
        report.epoch_done()
    assert written == list(range(1, 51, 5))


def test_time_left_follows_the_recent_epochs(tmp_path, clock):
    made = run(tmp_path, epochs=30)
    made.progress.rows += [{"epoch": 1, "seconds": 100.0, "val_mean_iou": 0.5}]  # an earlier session
    report = report_of(made)
    made.progress.epoch = 1
    assert report.finished().status.seconds_left is None
    made.progress.rows += [{"epoch": k, "seconds": float(k), "val_mean_iou": 0.5} for k in range(2, 9)]
    made.progress.epoch = 8
    status = report.finished().status
    assert (status.seconds_left, status.seconds) == (22 * 6.0, 135.0)


def test_a_report_that_cannot_be_written_is_one_warning(tmp_path, capsys, quick_reports):
    made = run(tmp_path, epochs=2)
    report = report_of(made)
    report.path.mkdir()
    with report.watching():
        for _ in made.fit():
            report.epoch_done()
    why = f"{report.path}: is a folder, expected the name of a file to write"
    assert capsys.readouterr().err == f"warning: report.html or the event file is not up to date: {why}\n"


def test_reports_do_not_change_the_training(tmp_path, quick_reports):
    plain, watched = run(tmp_path / "a", ema=0.9), run(tmp_path / "b", ema=0.9)
    list(plain.fit())
    report = report_of(watched)
    for _ in watched.fit():
        assert report.epoch_done() or watched.progress.epoch > 1
        report.written = -1e9
    assert (plain.network.flat().values == watched.network.flat().values).all()


def test_examples_show_many_classes_and_are_spread_over_the_set():
    empty = [(image, mask * 0) for image, mask in map(sample, range(30))]
    full = {3: sample(3), 14: sample(14), 29: sample(29)}
    source = Source([full.get(index, pair) for index, pair in enumerate(empty)])
    assert set(choose_examples(source)) <= {0, *full, 10, 20, 11, 19, 21}
    assert {14, 29} <= set(choose_examples(source))
    assert choose_examples(Source(empty[:2])) == [0, 1]
    assert len(set(choose_examples(Source(empty[:4])))) == 3
