"""Animations: the content of each frame, and its agreement with the operations."""

import numpy as np
import pytest

from scratchnet.ops.convolution import conv2d
from scratchnet.ops.transposed import conv_transpose2d
from scratchnet.visualization import conv_transpose_frames, convolution_frames, im2col_frames, save_figure, stamps
from scratchnet.visualization.animation import canvas

rng = np.random.default_rng(9)
IMAGE, KERNEL = rng.integers(-3, 6, (4, 3)), rng.integers(-3, 4, (3, 2))


def operated(operation, x, kernel, *settings):
    return operation(x[None, :, :, None].astype(float), kernel[:, :, None, None].astype(float), None, *settings)[
        0, :, :, 0
    ]


@pytest.fixture
def drawn(monkeypatch):
    """Every matrix drawn, frame by frame: title → (values, roles, shown, frame)."""
    frames = []

    class Watched(canvas.Canvas):
        def __init__(self, *size):
            super().__init__(*size)
            frames.append({})

        def matrix(self, at, values, roles, title="", shown=None, frame=None, tints=0.5):
            super().matrix(at, values, roles, title, shown, frame, tints)
            frames[-1][title.split(":")[0].split(",")[0]] = (values, roles, shown, frame)

    for module in ("convolution", "conv_transpose"):
        monkeypatch.setattr(f"scratchnet.visualization.animation.{module}.Canvas", Watched)
    return frames


@pytest.mark.parametrize(("stride", "padding"), [(1, 1), (2, 0), ((2, 1), (1, 2))])
def test_convolution(drawn, stride, padding):
    y = operated(conv2d, IMAGE, KERNEL, stride, padding)
    frames = convolution_frames(IMAGE, KERNEL, stride, padding)
    assert len(frames) == len(drawn) == y.size + 1
    for i, frame in enumerate(drawn[:-1]):
        values, _, shown, last = frame["output"]
        assert shown.sum() == i + 1
        assert last[:2] == divmod(i, y.shape[1])
        padded, roles, _, (row, column, high, wide) = frame["image"]
        window = padded[row : row + high, column : column + wide]
        assert (window * KERNEL).sum() == values[last[:2]] == y[last[:2]]
        assert (roles[row : row + high, column : column + wide] == "weight").all()
        assert (roles == "weight").sum() == KERNEL.size
    assert drawn[-1]["output"][2].all()


def test_im2col(drawn):
    y = operated(conv2d, IMAGE, KERNEL, 1, (0, 1))
    frames = im2col_frames(IMAGE, KERNEL, 1, (0, 1))
    assert len(frames) == y.size + 1
    for i, frame in enumerate(drawn[:-1]):
        columns, _, known, _ = frame["one window per row"]
        assert (known.sum(axis=1) > 0).sum() == i + 1
        padded, _, _, (row, column, high, wide) = frame["image"]
        np.testing.assert_array_equal(columns[i], padded[row : row + high, column : column + wide].ravel())
    np.testing.assert_array_equal(columns @ drawn[-1]["× kernel"][0], drawn[-1]["= output"][0])
    np.testing.assert_array_equal(drawn[-1]["= output"][0].ravel(), y.ravel())


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1), ((3, 1), (1, 0))])
def test_stamps_sum_to_the_transposed_convolution(drawn, stride, padding):
    y = operated(conv_transpose2d, IMAGE, KERNEL, stride, padding)
    frames = conv_transpose_frames(IMAGE, KERNEL, stride, padding)
    assert len(frames) == len(drawn) == IMAGE.size + 1
    sums, _, _, (row, column, high, wide) = drawn[-1]["output"]
    np.testing.assert_array_equal(sums[row : row + high, column : column + wide], y)
    before = np.zeros_like(sums)
    for i, frame in enumerate(drawn[:-1]):
        now, _, shown, (row, column, high, wide) = frame["output"]
        added = now - before
        np.testing.assert_array_equal(added[row : row + high, column : column + wide], IMAGE.ravel()[i] * KERNEL)
        assert (now[~shown] == 0).all()
        before = now


def test_stamps_count_where_they_overlap():
    *_, last = stamps(np.ones((3, 1)), np.ones((3, 1)), 2)
    assert last.count.ravel().tolist() == [1, 1, 2, 1, 2, 1, 1]


def test_files_stay_small(tmp_path, monkeypatch):
    monkeypatch.setattr("scratchnet.visualization.saving.FOLDER", tmp_path)
    frames = convolution_frames(rng.integers(0, 10, (5, 5)), np.eye(3), 1, 1)
    assert len(frames) == 26
    assert frames[0].getpixel((0, 0)) == frames[-1].getpixel((0, 0))  # one palette
    assert frames[0].convert("RGB").getpixel((0, 0)) == (255, 255, 255)
    save_figure(frames, "convolution")
    assert (tmp_path / "convolution.gif").stat().st_size < 100_000
