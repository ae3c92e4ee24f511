import tracemalloc
import zlib

import pytest
from PIL import Image

from scratchnet.data import image_size, read_image, read_mask
from scratchnet.data.image_rows import open_rows
from scratchnet.utils.errors import UserError


@pytest.mark.parametrize("side", [30_000, 65_535])
def test_a_small_file_that_promises_gigabytes_of_pixels(side, tmp_path):
    """Pillow allocates the memory before it finds that the data are missing."""
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
