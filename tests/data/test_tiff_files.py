"""TIFFs that Pillow cannot read, with and without the package tifffile."""

import sys
from pathlib import Path

import numpy as np
import pytest

from scratchnet.data import image_size, read_image, read_mask
from scratchnet.data.tiff_files import upright
from scratchnet.utils.errors import UserError
from tests.data.encodings import tiff

VALUES = np.array([[0, 1, 2], [3, 2, 1]])
HALF = tiff(3, 2, VALUES.astype("<f2").tobytes(), bits=16, sampleformat=3)


def test_without_tifffile_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tifffile", None)
    (tmp_path / "x.tif").write_bytes(HALF)
    with pytest.raises(UserError, match=r'16-bit floating-point.*install tifffile \(pip install -e "\.\[tiff\]"'):
        read_image(tmp_path / "x.tif")
    with pytest.raises(UserError, match="a kind of TIFF that needs tifffile"):
        read_image(tmp_path / "x.tif", (0, 3))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_half_precision(tmp_path: Path, orientation: int) -> None:
    pytest.importorskip("tifffile")
    data = tiff(3, 2, VALUES.astype("<f2").tobytes(), bits=16, sampleformat=3, orientation=orientation)
    (tmp_path / "x.tif").write_bytes(data)
    (tmp_path / "y.tif").write_bytes(tiff(3, 2, (VALUES * 85).astype(np.uint8).tobytes(), orientation=orientation))
    image = read_image(tmp_path / "x.tif", (0, 3))
    assert np.array_equal(image, read_image(tmp_path / "y.tif"))
    assert image_size(tmp_path / "x.tif") == image.shape[:2]


@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_colours_of_16_bits(tmp_path: Path, planes: str) -> None:
    tifffile = pytest.importorskip("tifffile")
    colours = np.arange(12, dtype=np.uint16).reshape(2, 2, 3) * 20
    stored = colours if planes == "contig" else np.moveaxis(colours, -1, 0)
    tifffile.imwrite(tmp_path / "x.tif", stored, photometric="rgb", planarconfig=planes)
    assert np.array_equal(read_image(tmp_path / "x.tif", (0, 255)), colours)
    assert image_size(tmp_path / "x.tif") == (2, 2)
    with pytest.raises(UserError, match="16 bits per channel"):
        read_image(tmp_path / "x.tif")


@pytest.mark.parametrize("kind", [">u4", "<u8", "<i8", ">i4"])
def test_masks_of_wide_integers(tmp_path: Path, kind: str) -> None:
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "m.tif", VALUES.astype(kind), byteorder=kind[0])
    assert np.array_equal(read_mask(tmp_path / "m.tif", classes=4), VALUES)
    with pytest.raises(UserError, match=r"m\.tif: mask value 3"):
        read_mask(tmp_path / "m.tif", classes=3)


def test_floats_are_no_classes(tmp_path: Path) -> None:
    (tmp_path / "m.tif").write_bytes(HALF)
    with pytest.raises(UserError, match="16-bit floating-point"):
        read_mask(tmp_path / "m.tif", classes=4)


def test_turning_back() -> None:
    stored = np.arange(6).reshape(2, 3)
    expected = {6: np.rot90(stored, -1), 8: np.rot90(stored), 3: np.rot90(stored, 2), 5: stored.T, 2: stored[:, ::-1]}
    for orientation, image in expected.items():
        assert np.array_equal(upright(stored, orientation), image)


def test_a_small_file_that_speaks_of_many_samples(tmp_path: Path) -> None:
    pytest.importorskip("tifffile")
    (tmp_path / "x.tif").write_bytes(tiff(60000, 60000, bytes(8), bits=16, sampleformat=3))
    for read in (lambda path: read_image(path, (0, 1)), read_mask):
        with pytest.raises(UserError, match=r"too large|16-bit floating-point"):
            read(tmp_path / "x.tif")
