import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from scratchnet.data import image_size, read_image, read_mask
from scratchnet.data.image_rows import ImageRows, open_rows
from scratchnet.data.mask_rows import write_mask_rows
from scratchnet.utils.errors import UserError
from tests.tiny import sample

PHOTO = Image.fromarray(sample(0, 23, 31)[0])
DEEP = Image.fromarray((np.arange(23 * 31, dtype=np.uint16) * 90).reshape(23, 31))
FORMS = {
    "rgb.png": PHOTO,
    "grey.png": PHOTO.convert("L"),
    "palette.png": PHOTO.quantize(9),
    "clear.png": Image.merge("RGBA", [*PHOTO.split(), PHOTO.getchannel(0)]),
    "bits.png": PHOTO.convert("1"),
    "deep.png": DEEP,
    "deep.tif": DEEP,
    "photo.tif": PHOTO,
    "photo.jpg": PHOTO,
    "photo.webp": PHOTO,
}


def in_rows(image, step):
    return np.concatenate([image.rows(top, min(top + step, image.height)) for top in range(0, image.height, step)])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", FORMS)
def test_rows_are_those_of_the_image(name, orientation, tmp_path):
    exif = Image.Exif()
    exif[274] = orientation
    FORMS[name].save(tmp_path / name, exif=exif)
    expected = read_image(tmp_path / name, (0, 50000))
    image = open_rows(tmp_path / name, (0, 50000))
    assert (image.height, image.width) == expected.shape[:2]
    np.testing.assert_array_equal(in_rows(image, 7), expected)


def test_an_image_in_memory_has_rows_too():
    image = np.array(PHOTO)
    np.testing.assert_array_equal(in_rows(ImageRows.from_array(image), 5), image)


@pytest.mark.parametrize("step", [1, 7, 40])
def test_masks_in_pieces_are_read_as_they_were(step, tmp_path):
    mask = np.random.default_rng(0).integers(0, 4, (40, 31)).astype(np.uint8)
    write_mask_rows(tmp_path / "m.png", (mask[top : top + step] for top in range(0, 40, step)), mask.shape)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", classes=4), mask)


@pytest.mark.parametrize(
    ("shape", "dtype", "words"), [((3, 31), "u1", "5 rows"), ((5, 30), "u1", "31"), ((5, 31), "i4", "uint8")]
)
def test_pieces_that_do_not_fit_leave_nothing(shape, dtype, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        write_mask_rows(tmp_path / "m.png", [np.zeros(shape, dtype)], (5, 31))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("side", [30_000, 65_535])
def test_a_small_file_that_promises_gigabytes_of_pixels(side, tmp_path):
    """Pillow takes the memory when it begins to decode, before it finds that the data are missing."""
    path = tmp_path / "a.gif"
    Image.new("P", (8, 8)).save(path)
    data = bytearray(path.read_bytes())
    data[6:10] = side.to_bytes(2, "little") * 2
    place = data.index(b",", 13)  # the frame's own place and size
    data[place + 5 : place + 9] = side.to_bytes(2, "little") * 2
    path.write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=rf"{side}×{side} pixels \(height × width\) in a file of {len(data)} bytes"):
            open_rows(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()


def test_a_large_blank_image_is_no_attack(tmp_path):
    Image.new("1", (20_000, 3_000)).save(tmp_path / "a.png")
    image = open_rows(tmp_path / "a.png")
    assert not image.rows(2_990, 3_000).any()


@pytest.mark.parametrize(("width", "height"), [(1 << 26, 20), (20, 1 << 30), (50_000, 50_000)])
def test_a_small_png_that_promises_gigabytes_of_pixels(width, height, tmp_path):
    """Its orientation may come after its pixels, which Pillow decodes to look for it."""
    path = tmp_path / "a.png"
    Image.new("RGB", (8, 8)).save(path)
    data = bytearray(path.read_bytes())
    data[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    path.write_bytes(data)
    tracemalloc.start()
    try:
        for read in (open_rows, read_image, read_mask, image_size):
            with pytest.raises(UserError, match=r"pixels \(height × width\) in a file of|too large to open at once"):
                read(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()
