import sys

import numpy as np
import pytest

from scratchnet.visualization import confusion_figure, curves_figure, examples_figure, switch_figure
from scratchnet.visualization.plots import SCORES


def save(figure, path):
    figure.savefig(path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_curves_read_text_and_numbers_and_skip_gaps(tmp_path):
    rows = [
        {"epoch": "1", "train_loss": "0.5", "val_loss": ""},
        {"epoch": "2", "train_loss": "0.4", "val_loss": "0.6"},
        {"epoch": 3, "train_loss": 0.3, "val_loss": None},
        {"epoch": 4, "train_loss": 0.2, "val_loss": 0.5},
    ]
    figure = curves_figure(rows)
    train, validation = figure.axes[0].lines
    np.testing.assert_array_equal(train.get_xdata(), [1, 2, 3, 4])
    np.testing.assert_array_equal(validation.get_xdata(), [2, 4])
    np.testing.assert_array_equal(validation.get_ydata(), [0.6, 0.5])
    assert figure.axes[0].get_ylim()[1] > 0.6
    save(figure, tmp_path / "curves.png")


def test_curves_leave_out_columns_without_numbers(tmp_path):
    figure = curves_figure([{"epoch": 1, "val_accuracy": 0.9, "val_mean_iou": ""}], SCORES, "score")
    (line,) = figure.axes[0].lines
    assert line.get_label() == "pixel accuracy"
    assert line.get_marker() == "o"  # one point has no line
    save(figure, tmp_path / "one.png")
    assert not curves_figure([{"epoch": 1}]).axes[0].lines


def test_curves_of_zeros_and_of_negative_losses():
    assert curves_figure([{"epoch": 1, "train_loss": 0.0}]).axes[0].get_ylim() == (0.0, 0.05)
    bottom, _ = curves_figure([{"epoch": 1, "train_loss": -2.0}]).axes[0].get_ylim()
    assert bottom == -2


def test_confusion_shows_the_share_of_the_true_class(tmp_path):
    figure = confusion_figure(np.array([[3, 1, 0], [0, 0, 0], [5, 0, 5]]), ["a", "b", "c"])
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["75.0", "25.0", "0.0", "–", "–", "–", "50.0", "0.0", "50.0"]
    save(figure, tmp_path / "confusion.png")
    with pytest.raises(ValueError, match="2 class names"):
        confusion_figure(np.eye(3), ["a", "b"])


@pytest.mark.parametrize(("classes", "length"), [(1, 1), (1, 60), (2, 12), (3, 60), (11, 12), (21, 1), (21, 60)])
def test_confusion_has_room_for_its_names(tmp_path, classes, length):
    names = [("$x" * length)[:length] for _ in range(classes)]  # no formula, and a warning is an error here
    figure = confusion_figure(np.eye(classes), names)
    save(figure, tmp_path / "confusion.png")
    figure.draw_without_rendering()
    outline, (width, height) = figure.axes[0].get_tightbbox(), figure.bbox.size
    assert min(outline.x0, outline.y0, width - outline.x1, height - outline.y1) > 0  # no label is cut


def test_examples_have_a_row_each(tmp_path):
    rng = np.random.default_rng(0)
    examples = [
        (f"image {h}", rng.integers(0, 256, (h, 24, 3)).astype(np.uint8), *rng.integers(0, 2, (2, h, 24), np.uint8))
        for h in (16, 32)
    ]
    figure = examples_figure(iter(examples))
    assert len(figure.axes) == 8
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["correct background", "miss", "false alarm", "hit"]
    save(figure, tmp_path / "examples.png")
    with pytest.raises(ValueError, match="no example"):
        examples_figure([])


@pytest.mark.parametrize("kernel", [2, 3])
def test_switch_figure_numbers_the_window(tmp_path, kernel):
    switches = np.random.default_rng(0).integers(0, kernel**2, (8, 12)).astype(np.uint8)
    figure = switch_figure(switches, kernel)
    assert [text.get_text() for text in figure.axes[1].texts] == [str(i) for i in range(kernel**2)]
    save(figure, tmp_path / "switches.png")


def test_pyplot_is_not_touched():
    before = "matplotlib.pyplot" in sys.modules
    curves_figure([{"epoch": 1, "train_loss": 1.0}])
    assert ("matplotlib.pyplot" in sys.modules) == before
