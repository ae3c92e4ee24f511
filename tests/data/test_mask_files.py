"""Mask files of all encodings give the stored class indices, or are rejected with a message of one line."""

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scratchnet.data import read_mask
from scratchnet.data.image_formats import readable_formats
from scratchnet.utils.errors import UserError
from tests.data.encodings import CLASSES, encoded, png, tiff

GREY = Image.fromarray(np.kron(CLASSES, np.ones((8, 8))).astype(np.uint8))

LOSSY = {
    "JPEG": encoded(GREY, "JPEG"),
    "colour JPEG": encoded(GREY.convert("RGB"), "JPEG", quality=100),
    "MPO": encoded(GREY, "MPO", save_all=True, append_images=[GREY]),
    "JPEG in TIFF": encoded(GREY, "TIFF", compression="jpeg"),
    "JPEG 2000": encoded(GREY, "JPEG2000", irreversible=True),
    "WebP": encoded(GREY.convert("RGB"), "WEBP", quality=80),
    "WebP with transparency": encoded(GREY.convert("RGBA"), "WEBP", quality=80),
    "AVIF": encoded(GREY.convert("RGB"), "AVIF") if "AVIF" in readable_formats() else b"",
    "DDS": encoded(GREY.convert("RGBA"), "DDS", pixel_format="DXT1"),
}


@pytest.mark.parametrize("codec", LOSSY)
@pytest.mark.parametrize("format", ["index", "binary", "rgb-index"])
def test_lossy_masks_are_refused_whatever_the_container(tmp_path: Path, codec: str, format: str) -> None:
    if not LOSSY[codec]:
        pytest.skip("this Pillow cannot write it")
    (tmp_path / "m.png").write_bytes(LOSSY[codec])
    with pytest.raises(UserError, match=r"m\.png: .*compression changes class indices; use mask_threshold=127"):
        read_mask(tmp_path / "m.png", format=format, classes=4)  # type: ignore[arg-type]
    assert read_mask(tmp_path / "m.png", format="threshold", threshold=100).any() == np.False_


def test_lossless_webp_is_a_mask(tmp_path: Path) -> None:
    (tmp_path / "m.webp").write_bytes(encoded(Image.fromarray(CLASSES).convert("RGB"), "WEBP", lossless=True))
    assert np.array_equal(read_mask(tmp_path / "m.webp", format="rgb-index", classes=4), CLASSES)


def packed(bits: int) -> bytes:
    """Return the rows of CLASSES with so many bits a sample."""
    rows = [np.unpackbits(row[:, None], axis=1)[:, 8 - bits :].ravel() for row in CLASSES]
    return b"".join(np.packbits(row).tobytes() for row in rows)


def png_rows(bits: int) -> bytes:
    rows = packed(bits)
    half = len(rows) // 2
    return b"\0" + rows[:half] + b"\0" + rows[half:]


COLOURS = bytes([0, 0, 0, 200, 0, 0, 0, 200, 0, 0, 0, 200])
STORED = {
    "2-bit grey PNG": png(4, 2, 2, 0, png_rows(2)),
    "4-bit grey PNG": png(4, 2, 4, 0, png_rows(4)),
    "8-bit grey PNG": png(4, 2, 8, 0, png_rows(8)),
    "grey PNG with a transparent value": png(4, 2, 8, 0, png_rows(8), (b"tRNS", b"\0\1")),
    "2-bit grey PNG with a transparent value": png(4, 2, 2, 0, png_rows(2), (b"tRNS", b"\0\1")),
    "grey PNG with a gamma": png(4, 2, 8, 0, png_rows(8), (b"gAMA", struct.pack(">I", 45455))),
    "2-bit palette PNG": png(4, 2, 2, 3, png_rows(2), (b"PLTE", COLOURS)),
    "4-bit palette PNG": png(4, 2, 4, 3, png_rows(4), (b"PLTE", COLOURS)),
    "palette PNG with transparency": png(4, 2, 8, 3, png_rows(8), (b"PLTE", COLOURS), (b"tRNS", b"\0\xff")),
    "16-bit grey PNG": encoded(Image.fromarray(CLASSES.astype(np.uint16)), "PNG"),
    "2-bit TIFF": tiff(4, 2, packed(2), bits=2),
    "4-bit TIFF": tiff(4, 2, packed(4), bits=4),
    "8-bit TIFF": tiff(4, 2, packed(8)),
    "2-bit TIFF, white is 0": tiff(4, 2, packed(2), bits=2, photometric=0),
    "4-bit TIFF, white is 0": tiff(4, 2, packed(4), bits=4, photometric=0),
    "8-bit TIFF, white is 0": tiff(4, 2, packed(8), photometric=0),
    "16-bit TIFF": tiff(4, 2, CLASSES.astype("<u2").tobytes(), bits=16),
    "signed 16-bit TIFF": tiff(4, 2, CLASSES.astype("<i2").tobytes(), bits=16, sampleformat=2),
    "32-bit TIFF": tiff(4, 2, CLASSES.astype("<u4").tobytes(), bits=32),
    "signed 32-bit TIFF": tiff(4, 2, CLASSES.astype("<i4").tobytes(), bits=32, sampleformat=2),
    "big-endian 16-bit TIFF": encoded(Image.frombytes("I;16B", (4, 2), CLASSES.astype(">u2").tobytes()), "TIFF"),
    "LZW TIFF": encoded(Image.fromarray(CLASSES), "TIFF", compression="tiff_lzw"),
    "16-bit LZW TIFF": encoded(Image.fromarray(CLASSES.astype(np.uint16)), "TIFF", compression="tiff_lzw"),
    "Deflate TIFF": encoded(Image.fromarray(CLASSES), "TIFF", compression="tiff_adobe_deflate"),
    "GIF": encoded(Image.fromarray(CLASSES), "GIF"),
    "BMP": encoded(Image.fromarray(CLASSES), "BMP"),
    "TGA": encoded(Image.fromarray(CLASSES), "TGA"),
    "TGA with RLE": encoded(Image.fromarray(CLASSES), "TGA", compression="tga_rle"),
    "PCX": encoded(Image.fromarray(CLASSES), "PCX"),
    "PGM": encoded(Image.fromarray(CLASSES), "PPM"),
    "PGM up to 3": b"P5 4 2 3\n" + CLASSES.tobytes(),
    "PGM up to 1000": b"P5 4 2 1000\n" + CLASSES.astype(">u2").tobytes(),
    "PGM up to 65535": b"P5 4 2 65535\n" + CLASSES.astype(">u2").tobytes(),
    "plain PGM up to 15": b"P2 4 2 15\n0 1 2 3\n3 2 1 0\n",
}


@pytest.mark.parametrize("form", STORED)
def test_the_stored_sample_is_the_class(tmp_path: Path, form: str) -> None:
    path = tmp_path / ("m.tga" if "TGA" in form else "m.img")
    path.write_bytes(STORED[form])
    mask = read_mask(path, classes=4)
    assert mask.dtype == np.uint8
    assert np.array_equal(mask, CLASSES)


ONE_BIT = {
    "PNG": png(4, 1, 1, 0, b"\0\x50"),
    "TIFF": tiff(4, 1, b"\x50", bits=1),
    "TIFF, white is 0": tiff(4, 1, b"\x50", bits=1, photometric=0),
    "palette PNG": png(4, 1, 1, 3, b"\0\x50", (b"PLTE", COLOURS[:6])),
    "PBM": b"P4 4 1\n\x50",
    "plain PBM": b"P1 4 1\n0 1 0 1\n",
}


@pytest.mark.parametrize("form", ONE_BIT)
def test_the_stored_bit_is_the_class(tmp_path: Path, form: str) -> None:
    (tmp_path / "m.img").write_bytes(ONE_BIT[form])
    assert read_mask(tmp_path / "m.img").tolist() == [[0, 1, 0, 1]]


@pytest.mark.parametrize("format", ["GIF", "PNG", "BMP", "TIFF"])
def test_a_grey_palette_is_the_grey_that_is_seen(tmp_path: Path, format: str) -> None:
    """Pillow's GIF leaves unused values out: 0, 2, 4, 2 is stored as 0, 1, 2, 1."""
    image = Image.fromarray(np.array([[0, 1, 2, 1]], np.uint8))
    image.putpalette([0, 0, 0, 2, 2, 2, 4, 4, 4])
    if format == "GIF":
        image = Image.fromarray(np.array([[0, 2, 4, 2]], np.uint8))
    (tmp_path / "m.img").write_bytes(encoded(image, format))
    assert read_mask(tmp_path / "m.img", classes=5).tolist() == [[0, 2, 4, 2]]
    with pytest.raises(UserError, match="mask value 4, but the 3 classes"):
        read_mask(tmp_path / "m.img", classes=3)


@pytest.mark.parametrize(
    ("palette", "words"),
    [
        ([0, 0, 0, 255, 255, 255, 9, 9, 9], "only 0 and 255; use mask_format='binary'"),
        ([0, 0, 0, 0, 0, 0, 9, 9, 9], "shows several indices"),
        ([0, 0, 0, 128, 128, 128, 255, 255, 255], "mask value 128"),
    ],
)
def test_grey_palettes_that_leave_the_class_open(tmp_path: Path, palette: list[int], words: str) -> None:
    image = Image.fromarray(np.array([[0, 1]], np.uint8))
    image.putpalette(palette)
    image.save(tmp_path / "m.png")
    with pytest.raises(UserError, match=words):
        read_mask(tmp_path / "m.png")


REFUSED = {
    "LA": encoded(Image.fromarray(CLASSES).convert("LA"), "PNG"),
    "PA": encoded(Image.fromarray(CLASSES).convert("PA"), "TIFF"),
    "CMYK": encoded(Image.fromarray(CLASSES).convert("CMYK"), "TIFF"),
    "float": encoded(Image.fromarray(CLASSES.astype(np.float32)), "TIFF"),
    "16-bit colours": png(2, 1, 16, 2, b"\0" + bytes(12)),
    "too large": encoded(Image.fromarray(CLASSES.astype(np.uint16) * 300), "PNG"),
    "negative": tiff(4, 2, (-CLASSES.astype("<i2")).tobytes(), bits=16, sampleformat=2),
    "16-bit SGI": encoded(Image.fromarray(CLASSES), "SGI", bpc=2),
}


@pytest.mark.parametrize("form", REFUSED)
def test_masks_whose_samples_are_no_classes(tmp_path: Path, form: str) -> None:
    (tmp_path / "m.img").write_bytes(REFUSED[form])
    with pytest.raises(UserError, match=r"m\.img: ") as caught:
        read_mask(tmp_path / "m.img", classes=4)
    assert "damaged" not in str(caught.value)
