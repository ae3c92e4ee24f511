from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scratchnet.arrays import Array
from scratchnet.data import PALETTE, MaskFormat, find_objects, read_mask, write_mask
from scratchnet.data.masks import read_instances
from scratchnet.utils.errors import UserError


def save(path: Path, values: object, mode: str | None = None) -> Path:
    image = Image.fromarray(np.array(values, np.uint8))
    (image.convert(mode) if mode else image).save(path)
    return path


def test_written_masks_come_back_with_all_indices(tmp_path: Path) -> None:
    mask = np.arange(256, dtype=np.uint8).reshape(16, 16)
    write_mask(tmp_path / "m.png", mask)
    assert np.array_equal(read_mask(tmp_path / "m.png", classes=256), mask)
    shown = np.array(Image.open(tmp_path / "m.png").convert("RGB"))
    assert np.array_equal(shown, PALETTE[mask])


def test_palette_indices_survive_even_when_colours_repeat(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8))
    image.putpalette([9, 0, 0] * 3)
    image.save(tmp_path / "m.png")
    assert read_mask(tmp_path / "m.png", classes=3).tolist() == [[0, 1, 2]]


@pytest.mark.parametrize(
    ("values", "mode", "format", "expected"),
    [
        ([[0, 1, 2]], None, "index", [[0, 1, 2]]),
        ([[0, 1, 255]], None, "index", [[0, 1, 255]]),
        ([[0, 255, 0]], "1", "index", [[0, 1, 0]]),
        ([[0, 255, 0]], None, "binary", [[0, 1, 0]]),
        ([[0, 255, 0]], "1", "binary", [[0, 1, 0]]),
        ([[0, 255, 0]], "RGB", "binary", [[0, 1, 0]]),
        ([[0, 255, 0]], "P", "binary", [[0, 1, 0]]),
        ([[0, 127, 128]], None, "threshold", [[0, 0, 1]]),
        ([[0, 127, 128]], "RGB", "threshold", [[0, 0, 1]]),
        ([[[0] * 3, [2] * 3, [255] * 3]], None, "rgb-index", [[0, 2, 255]]),
    ],
)
def test_formats(
    tmp_path: Path, values: object, mode: str | None, format: MaskFormat, expected: list[list[int]]
) -> None:
    path = save(tmp_path / "m.png", values, mode)
    mask = read_mask(path, format=format, classes=3)
    assert mask.dtype == np.uint8
    assert mask.tolist() == expected


@pytest.mark.parametrize(
    ("values", "format", "words"),
    [
        ([[0, 1, 3]], "index", r"mask value 3, but the 2 classes are 0 to 1"),
        ([[0, 1, 3, 4, 5, 6]], "index", r"3, 4, 5, … \(4 values\)"),
        ([[0, 255]], "index", "mask_format='binary'"),
        ([[[1] * 3, [0] * 3]], "index", "mask_format='rgb-index'"),
        ([[[1, 2, 3], [0] * 3]], "index", "convert its colours"),
        ([[0, 1]], "binary", "mask_format='index'"),
        ([[0, 17, 255]], "binary", "mask value 17.*mask_threshold=127"),
        ([[[9, 0, 0]]], "binary", "coloured mask"),
        ([[[90, 0, 0]]], "threshold", "coloured mask"),
        ([[0, 1]], "rgb-index", "mask_format='index'"),
        ([[[1, 2, 3]]], "rgb-index", "differ by up to 2"),
        ([[[0] * 3, [255] * 3]], "rgb-index", "mask_format='binary'"),
        ([[[0, 0, 0, 0]]], "binary", "transparent"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, values: object, format: MaskFormat, words: str) -> None:
    with pytest.raises(UserError, match=rf"m\.png: .*{words}") as caught:
        read_mask(save(tmp_path / "m.png", values), format=format, classes=2)
    assert "\n" not in str(caught.value)


def test_ignored_value_counts_as_wrong_without_ignore_index(tmp_path: Path) -> None:
    path = save(tmp_path / "m.png", [[0, 1, 11]])
    assert read_mask(path, classes=2, ignore_index=11).tolist() == [[0, 1, 11]]
    for ignore_index in (None, 255):
        with pytest.raises(UserError, match="mask value 11"):
            read_mask(path, classes=2, ignore_index=ignore_index)


def test_palette_mask_of_ignored_pixels_is_no_binary_mask(tmp_path: Path) -> None:
    mask = np.array([[0, 255]], np.uint8)
    write_mask(tmp_path / "m.png", mask)
    assert np.array_equal(read_mask(tmp_path / "m.png"), mask)


@pytest.fixture
def jpeg_mask(tmp_path: Path) -> tuple[Path, Array]:
    truth = np.zeros((32, 32), np.uint8)
    truth[5:20, 9:27] = 1
    Image.fromarray(truth * 255).save(tmp_path / "m.jpg", quality=75)
    return tmp_path / "m.jpg", truth


def test_jpeg_masks_need_a_threshold(jpeg_mask: tuple[Path, Array]) -> None:
    path, truth = jpeg_mask
    assert np.array_equal(read_mask(path, format="threshold"), truth)
    formats: list[MaskFormat] = ["index", "binary"]
    for format in formats:
        with pytest.raises(UserError, match="mask_threshold=127"):
            read_mask(path, format=format)


def test_sixteen_bit_mask_holds_classes_but_no_brightness(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 1]], np.uint16)).save(tmp_path / "m.png")
    assert read_mask(tmp_path / "m.png").tolist() == [[0, 1]]
    formats: list[MaskFormat] = ["binary", "threshold"]
    for format in formats:
        with pytest.raises(UserError, match="16-bit"):
            read_mask(tmp_path / "m.png", format=format)


def test_objects_are_numbered_in_as_many_bits_as_it_takes(tmp_path: Path) -> None:
    for values, kind in (([[0, 1, 255]], np.uint8), ([[0, 1, 255]], np.uint16), ([[0, 255, 300]], np.uint16)):
        Image.fromarray(np.array(values, kind)).save(tmp_path / "o.png")
        numbers = read_instances(tmp_path / "o.png")
        wide = values[0][2] == 300
        assert numbers.tolist() == ([[0, 301, 300]] if wide else values)
        assert numbers.dtype == (np.int32 if wide else np.uint8)
    instances = np.array([[0, 301, 300]], np.int32)
    found = find_objects(np.array([[0, 1, 1]], np.uint8), 255, instances)
    assert found.labels == {300: 1, 301: 1}
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "o.jpg")
    with pytest.raises(UserError, match="compression changes"):
        read_instances(tmp_path / "o.jpg")


def test_write_mask_takes_indices_only(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="uint8"):
        write_mask(tmp_path / "m.png", np.zeros((2, 2, 3), np.uint8))
