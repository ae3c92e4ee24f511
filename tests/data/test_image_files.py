"""Image files of all kinds are read correctly, or rejected with a message of one line."""

import os
import socket
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from scratchnet.arrays import Array
from scratchnet.data import image_size, read_image, read_mask
from scratchnet.data.image_files import inspect_image
from scratchnet.data.image_formats import FORMATS, readable_formats, readable_suffixes
from scratchnet.utils.errors import UserError
from tests.data.encodings import encoded, tiff

RNG = np.random.default_rng(0)
PICTURE = np.kron(RNG.integers(0, 256, (6, 10, 3)), np.ones((4, 4, 1))).astype(np.uint8)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["TIFF", "PNG", "JPEG", "WEBP", "AVIF", "lzw"])
def test_size_and_pixels_agree_whatever_the_orientation(tmp_path: Path, format: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    options: dict[str, object] = {"lossless": True} if format == "WEBP" else {}
    if format == "lzw":
        format, options = "TIFF", {"compression": "tiff_lzw"}
    if format not in readable_formats():
        pytest.skip(f"this Pillow cannot read {format}")
    path = tmp_path / "x.img"
    path.write_bytes(encoded(Image.fromarray(PICTURE), format, exif=exif, **options))
    image = read_image(path)
    assert image_size(path) == image.shape[:2] == ((24, 40) if orientation < 5 else (40, 24))
    assert inspect_image(path).orientation == orientation
    flipped = {
        1: PICTURE,
        2: PICTURE[:, ::-1],
        3: PICTURE[::-1, ::-1],
        4: PICTURE[::-1],
        5: PICTURE.swapaxes(0, 1),
        6: np.rot90(PICTURE, -1),
        7: PICTURE[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(PICTURE),
    }[orientation]
    assert np.abs(image.astype(int) - flipped).mean() < (1 if format in {"TIFF", "PNG", "WEBP"} else 30)


def test_a_tiff_whose_orientation_pillow_undoes_is_one_size(tmp_path: Path) -> None:
    (tmp_path / "x.tif").write_bytes(tiff(3, 2, bytes(range(6)), orientation=6))
    assert read_image(tmp_path / "x.tif").shape[:2] == image_size(tmp_path / "x.tif") == (3, 2)
    assert read_mask(tmp_path / "x.tif", classes=6).tolist() == [[3, 0], [4, 1], [5, 2]]


@pytest.mark.parametrize("suffix", sorted(readable_suffixes()))
def test_every_ending_that_is_looked_for_can_be_read(tmp_path: Path, suffix: str) -> None:
    format = Image.registered_extensions()[suffix]
    path = tmp_path / f"x{suffix}"
    size = (32, 32) if format == "ICO" else (40, 24)
    image = Image.fromarray(PICTURE).resize(size)
    image = image.convert("1") if suffix == ".pbm" else image.convert("L") if suffix in {".pgm", ".bw"} else image
    image = image.convert("RGBA") if suffix == ".rgba" else image
    if format not in Image.SAVE:
        pytest.skip("Pillow cannot write it")
    path.write_bytes(encoded(image, format))
    assert read_image(path).shape[1::-1] == size
    assert image_size(path)[::-1] == size


# No program, no waiting ----------------------------------------------------------------------------------------------


def test_no_format_runs_a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow hands EPS to Ghostscript, whatever the file's name."""

    def run(*args: object, **kwargs: object) -> None:
        raise AssertionError("a program was started")

    monkeypatch.setattr(subprocess, "Popen", run)
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", run)
    for name in ("x.png", "x.eps"):
        (tmp_path / name).write_bytes(encoded(Image.fromarray(PICTURE), "EPS"))
        for read in (read_image, image_size, read_mask):
            with pytest.raises(UserError, match=r"PostScript \(EPS\), not a kind of image"):
                read(tmp_path / name)
    assert not {"EPS", "WMF", "MPEG", "HDF5", "BUFR", "GRIB", "PDF", "FITS"} & set(FORMATS)


def test_every_opening_of_an_image_names_its_formats() -> None:
    package = Path(read_image.__code__.co_filename).parents[1]
    lines = [
        line for file in package.rglob("*.py") for line in file.read_text("utf-8").splitlines() if "Image.open(" in line
    ]
    assert lines
    assert all("formats=" in line for line in lines)


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    before = Path.cwd()
    os.chdir(path.parent)  # the names of sockets are short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(before)


IRREGULAR: dict[str, tuple[Callable[[Path], object], str]] = {
    "pipe": (make_pipe, "is a named pipe, expected an image file"),
    "socket": (make_socket, "is a socket"),
    "folder": (Path.mkdir, "is a folder"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "is a device"),
    "loop": (lambda path: path.symlink_to(path), "cannot be opened"),
    "nothing": (lambda path: None, "no such file"),
}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("kind", IRREGULAR)
def test_what_is_no_regular_file_is_never_opened(tmp_path: Path, kind: str) -> None:
    make, words = IRREGULAR[kind]
    make(tmp_path / "x.png")
    for read in (read_image, image_size, read_mask):
        with pytest.raises(UserError, match=words):
            read(tmp_path / "x.png")


@pytest.mark.parametrize("name", ["a\0b.png", "a" * 5000])
def test_names_that_no_file_can_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="cannot be opened"):
        read_image(tmp_path / name)


@pytest.mark.parametrize("error", [RuntimeError("x"), AssertionError(), RecursionError("deep"), ZeroDivisionError()])
def test_whatever_a_decoder_raises_is_one_line(
    tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.png").write_bytes(encoded(Image.fromarray(PICTURE), "PNG"))

    def load(self: Image.Image) -> None:
        raise error

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
    with pytest.raises(UserError, match=r"x\.png: damaged"):
        read_image(tmp_path / "x.png")


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "group4", "packbits", "jpeg"])
def test_libtiff_does_not_write_beside_our_messages(
    tmp_path: Path, compression: str, capfd: pytest.CaptureFixture[str]
) -> None:
    image = Image.fromarray(RNG.integers(0, 256, (64, 64)).astype(np.uint8))
    data = bytearray(encoded(image.convert("1") if compression == "group4" else image, "TIFF", compression=compression))
    for place in range(60, 400, 3):
        data[place] ^= 0x55
    (tmp_path / "x.tif").write_bytes(data)
    with suppress(UserError):  # not every change can be noticed
        read_image(tmp_path / "x.tif")
    assert capfd.readouterr() == ("", "")


def test_a_full_disk_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Libtiff's messages are caught in a temporary file; where there is no room for one, images are still read."""

    def full() -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "x.tif").write_bytes(encoded(Image.fromarray(PICTURE), "TIFF", compression="tiff_lzw"))
    monkeypatch.setattr("scratchnet.data.libtiff.tempfile.TemporaryFile", full)
    assert np.array_equal(read_image(tmp_path / "x.tif"), PICTURE)


# Kinds that cannot be read -------------------------------------------------------------------------------------------

FOREIGN = {
    "HEIC": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
    "DICOM": bytes(128) + b"DICM\2\0\0\0",
    "NumPy": b"\x93NUMPY\1\0v\0{'descr'",
    "git-lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n",
    "HTML": b"\n<!DOCTYPE html><html>404</html>",
    "PDF": b"%PDF-1.7\n",
    "ZIP": b"PK\x03\x04\x14\0",
    "gzip": b"\x1f\x8b\x08\0",
    "SVG": b"<?xml version='1.0'?>\n<svg/>",
    "JSON": b'{"shapes": []}',
    "HDF5": b"\x89HDF\r\n\x1a\n",
    "JPEG XL": b"\xff\x0a\xfa\x1f",
    "video": b"\0\0\0\x20ftypisom\0\0\2\0",
    "text": "schön".encode("utf-16"),
    "Photoshop": b"8BPS\0\1",
    "CZI": b"ZISRAWFILE\0\0\0\0\0\0",
    "MRC": bytes(208) + b"MAP DD\0\0",
    "JPEG XR": b"II\xbc\x01\x08\0\0\0",
    "PAM": b"P7\nWIDTH 2\nHEIGHT 2\nDEPTH 1\nMAXVAL 255\nENDHDR\n\0\1\0\1",
    "pickle": b"\x80\x04\x95\x1a\0\0\0\0\0\0\0\x8c\x05numpy",
    "RTF": b"{\\rtf1\\ansi",
    "web page": b'<?xml version="1.0"?>\n<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0">\n<html>',
    r"page \(HTML": b"<!-- saved from a page --><html><body>",
    "an SVG": b"<!-- drawn by hand -->\n<svg/>",
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_files_of_other_kinds_are_named(tmp_path: Path, kind: str) -> None:
    (tmp_path / "x.png").write_bytes(FOREIGN[kind] + b"\n" * 8)
    with pytest.raises(UserError, match=rf"x\.png: .*{kind}.*, not a kind of image that can be read here; ") as caught:
        read_image(tmp_path / "x.png")
    assert "damaged" not in str(caught.value)


@pytest.mark.parametrize("format", ["BLP", "MSP", "XBM", "ICNS"])
def test_formats_that_are_not_opened_are_named(tmp_path: Path, format: str) -> None:
    image = Image.fromarray(PICTURE).resize((16, 16)).convert("P" if format == "BLP" else "1")
    (tmp_path / "x.png").write_bytes(encoded(image.convert("RGBA") if format == "ICNS" else image, format))
    with pytest.raises(UserError, match=rf"x\.png: a {format} image, not a kind of image that can be read here"):
        read_image(tmp_path / "x.png")


UNSUPPORTED = {
    "16-bit floating-point": tiff(2, 2, bytes(8), bits=16, sampleformat=3),
    "64-bit floating-point": tiff(2, 2, bytes(32), bits=64, sampleformat=3),
    "compression 34887": tiff(2, 2, bytes(4), compression=34887),
    "preview": tiff(2, 2, bytes(4), sub=1),
}


@pytest.mark.parametrize("kind", UNSUPPORTED)
def test_sound_tiffs_of_other_kinds_are_not_called_damaged(tmp_path: Path, kind: str) -> None:
    (tmp_path / "x.tif").write_bytes(UNSUPPORTED[kind])
    with pytest.raises(UserError, match=rf"x\.tif: .*{kind}.*not a kind of image") as caught:
        read_image(tmp_path / "x.tif")
    assert "damaged" not in str(caught.value)
    (tmp_path / "x.tif").write_bytes(UNSUPPORTED[kind][:20])
    with pytest.raises(UserError, match="damaged"):
        read_image(tmp_path / "x.tif")


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "AVIF", "TIFF"])
@pytest.mark.parametrize("read", [read_image, read_mask])
def test_several_frames_are_refused(tmp_path: Path, format: str, read: Callable[[Path], Array]) -> None:
    if format not in readable_formats():
        pytest.skip(f"this Pillow cannot read {format}")
    more = [Image.fromarray(255 - PICTURE), Image.fromarray(PICTURE // 2)]
    (tmp_path / "x.img").write_bytes(encoded(Image.fromarray(PICTURE), format, save_all=True, append_images=more))
    with pytest.raises(UserError, match="holds 3 images, expected one"):
        read(tmp_path / "x.img")
