import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scratchnet.arrays import Array
from scratchnet.data import image_size, make_cells, read_image, write_image
from scratchnet.utils.errors import UserError


@pytest.fixture
def picture() -> Array:
    return np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff", ".bmp", ".PNG"])
def test_lossless_formats_round_trip(tmp_path: Path, picture: Array, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    write_image(path, picture)
    assert np.array_equal(read_image(path), picture)
    assert image_size(path) == (5, 7)


def test_jpeg_comes_back_nearly(tmp_path: Path) -> None:
    image = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    write_image(tmp_path / "x.jpg", image)
    assert np.abs(read_image(tmp_path / "x.jpg").astype(int) - image).max() < 8


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_every_usual_mode_becomes_rgb(tmp_path: Path, picture: Array, mode: str) -> None:
    image = Image.fromarray(picture).convert(mode)
    image.save(tmp_path / "x.png")
    result = read_image(tmp_path / "x.png")
    assert result.shape == (5, 7, 3)
    assert result.dtype == np.uint8
    assert np.array_equal(result, np.array(image.convert("RGB")))


def test_transparency_lies_on_white(tmp_path: Path) -> None:
    pixels = np.array([[[0, 0, 0, 0], [0, 0, 0, 255], [200, 0, 0, 128]]], np.uint8)
    Image.fromarray(pixels).save(tmp_path / "x.png")
    clear, black, half = read_image(tmp_path / "x.png")[0]
    assert clear.tolist() == [255, 255, 255]
    assert black.tolist() == [0, 0, 0]
    assert half == pytest.approx([227, 127, 127], abs=1)


def test_transparent_palette_entry_lies_on_white(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1]], np.uint8))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.save(tmp_path / "x.png", transparency=0)
    assert read_image(tmp_path / "x.png").tolist() == [[[255, 255, 255], [40, 50, 60]]]


def test_camera_rotation_is_carried_out(tmp_path: Path, picture: Array) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture).save(tmp_path / "x.png", exif=exif)
    assert np.array_equal(read_image(tmp_path / "x.png"), np.rot90(picture, -1))
    assert image_size(tmp_path / "x.png") == (7, 5)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (Image.fromarray(np.full((4, 4), 1000, np.uint16)), "16-bit"),
        (Image.fromarray(np.full((4, 4), 0.5, np.float32)), "floating-point"),
        (Image.new("CMYK", (4, 4)), "CMYK"),
    ],
)
def test_modes_without_agreed_brightness_are_refused(tmp_path: Path, image: Image.Image, words: str) -> None:
    image.save(tmp_path / "x.tif")
    with pytest.raises(UserError, match=rf"x\.tif.*{words}.*convert"):
        read_image(tmp_path / "x.tif")


@pytest.mark.parametrize("channels", [3, 4])
def test_colours_of_16_bits_are_refused(tmp_path: Path, channels: int) -> None:
    """Pillow would keep the upper byte, and of a 12-bit picture that is next to nothing."""
    rows = b"".join(b"\0" + bytes(8 * 2 * channels) for _ in range(8))
    head = struct.pack(">IIBBBBB", 8, 8, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    chunks = [struct.pack(">I", len(d)) + kind + d + struct.pack(">I", zlib.crc32(kind + d)) for kind, d in parts]
    (tmp_path / "deep.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    with pytest.raises(UserError, match=r"deep.png: a colour image of 16 bits per channel, expected 8 bits"):
        read_image(tmp_path / "deep.png")


def test_several_pages_are_refused(tmp_path: Path) -> None:
    page = Image.new("L", (4, 4))
    page.save(tmp_path / "x.tif", save_all=True, append_images=[page, page])
    with pytest.raises(UserError, match="holds 3 images"):
        read_image(tmp_path / "x.tif")


@pytest.mark.parametrize("read", [read_image, image_size])
def test_missing_empty_and_foreign_files_name_the_path(tmp_path: Path, read: object) -> None:
    assert callable(read)
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("no image")
    for name, words in (
        ("none.png", "no such file"),
        ("empty.png", "0 bytes"),
        ("text.png", "text, not a kind of image"),
    ):
        with pytest.raises(UserError, match=rf"{name}.*{words}") as caught:
            read(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="is a folder"):
        read(tmp_path)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF"])
def test_truncated_files_are_refused(tmp_path: Path, kind: str) -> None:
    whole = io.BytesIO()
    Image.fromarray(make_cells(np.random.default_rng(0), 48)[0]).save(whole, kind)
    path = tmp_path / "half.img"
    path.write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    with pytest.raises(UserError, match=r"half\.img"):
        read_image(path)


def test_damaged_png_never_raises_anything_else(tmp_path: Path) -> None:
    whole = io.BytesIO()
    Image.fromarray(make_cells(np.random.default_rng(0), 32)[0]).save(whole, "PNG")
    rng = np.random.default_rng(1)
    refused = 0
    for _ in range(60):
        damaged = bytearray(whole.getvalue())
        damaged[rng.integers(len(damaged))] ^= 1 << rng.integers(8)
        (tmp_path / "x.png").write_bytes(damaged)
        try:
            read_image(tmp_path / "x.png")
        except UserError:
            refused += 1
    assert refused > 50


def test_unknown_ending_is_refused(tmp_path: Path, picture: Array) -> None:
    with pytest.raises(UserError, match=r"x\.xyz.*\.png"):
        write_image(tmp_path / "x.xyz", picture)
    with pytest.raises(ValueError, match="uint8"):
        write_image(tmp_path / "x.png", picture.astype(float))
