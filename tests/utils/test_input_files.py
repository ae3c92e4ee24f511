import contextlib
import tracemalloc

from PIL import Image

from scratchnet.data.masks import read_mask
from scratchnet.utils.errors import UserError
from scratchnet.utils.input_files import BoundedFile


def test_a_reader_takes_no_more_memory_than_the_file_has_bytes(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"0123456789")
    with BoundedFile(path) as file:
        tracemalloc.start()
        try:
            assert file.read(3) == b"012"
            assert file.read(1 << 40) == b"3456789"
            assert file.read(1 << 40) == b""
            file.seek(8)
            assert file.read() == b"89"
            assert tracemalloc.get_traced_memory()[1] < 1 << 20
        finally:
            tracemalloc.stop()


def test_an_image_whose_chunk_promises_gigabytes(tmp_path):
    """Pillow asks for as many bytes as a chunk says."""
    path = tmp_path / "a.png"
    Image.new("L", (8, 8)).save(path)
    data = bytearray(path.read_bytes())
    place = data.index(b"IDAT")
    data[place - 4 : place] = b"\x70\x00\x00\x00"
    path.write_bytes(data)
    tracemalloc.start()
    try:
        with contextlib.suppress(UserError):
            read_mask(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()
