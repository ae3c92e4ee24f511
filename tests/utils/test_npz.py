"""Small files that promise much: nothing is read that the file does not hold, and lack of memory is no damage."""

import io
import resource
import struct
import subprocess
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest

from scratchnet.interop.tensors import as_array
from scratchnet.interop.weight_files import read_weights
from scratchnet.training.checkpoints import load_checkpoint, save_checkpoint
from scratchnet.utils.errors import UserError
from scratchnet.utils.npz import read_npz
from tests.interop import handmade
from tests.processes import environment
from tests.training.test_checkpoints import checkpoint

FEW = 32 << 20
"""Bytes that reading a small file may take for a moment."""


def npy(array):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def write(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


def promising(shape, descr="<f4", data=b"1234"):
    """A ``.npy`` file whose header promises more than there is."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": descr, "fortran_order": False, "shape": shape})
    return buffer.getvalue() + data


def declared_size(path, size):
    """Let the archive's directory say that the first entry has ``size`` bytes."""
    data = bytearray(path.read_bytes())
    place = data.rindex(b"PK\x01\x02")
    data[place + 20 : place + 28] = struct.pack("<II", size, size)
    path.write_bytes(data)
    return path


ZEROS = np.zeros(40 << 20, np.uint8)

BOMBS = {
    "an array's header": lambda path: write(path, [("a.npy", promising((1 << 40,)))]),
    "an array's header, many axes": lambda path: write(path, [("a.npy", promising((1 << 20, 1 << 20)))]),
    "negative sizes": lambda path: write(path, [("a.npy", promising((-1, -1)))]),
    "compressed zeros": lambda path: write(path, [("a.npy", npy(ZEROS))], zipfile.ZIP_DEFLATED),
    "the directory": lambda path: declared_size(write(path, [("a.npy", npy(np.zeros(8)))]), 1 << 31),
    "twice the same": lambda path: write(path, [("a.npy", npy(np.zeros(8))), ("a.npy", npy(np.ones(8)))]),
    "objects": lambda path: write(path, [("a.npy", npy(np.array([{}, 1], object)))]),
    "words": lambda path: write(path, [("a.npy", npy(np.array(["a"])))]),
    "records": lambda path: write(path, [("a.npy", npy(np.zeros(2, [("a", "f4")])))]),
    "no array": lambda path: write(path, [("a.npy", b"hello")]),
    "a long header": lambda path: write(path, [("a.npy", b"\x93NUMPY\x02\x00" + struct.pack("<I", 1 << 30) + b"{")]),
    "a header that Python warns of": lambda path: write(
        path, [("a.npy", b"\x93NUMPY\x01\x00\x10\x00{'a': 1if 1else 2}")]
    ),
    "a deep header": lambda path: write(
        path, [("a.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", 9000) + b"(" * 9000)]
    ),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("bomb", BOMBS)
def test_promises_are_not_believed(tmp_path, bomb):
    path = BOMBS[bomb](tmp_path / "a.npz")
    tracemalloc.start()
    try:
        with pytest.raises(UserError) as caught:
            read_weights(path)
        assert tracemalloc.get_traced_memory()[1] < FEW
        with pytest.raises(UserError):
            load_checkpoint(path)
        assert tracemalloc.get_traced_memory()[1] < FEW
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("dtype", ["f2", "f4", ">f8", "i1", "u8", "?"])
@pytest.mark.parametrize("shape", [(), (0, 3), (5,), (2, 3, 4)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_come_back(tmp_path, dtype, shape, order):
    array = np.asarray(np.random.default_rng(0).integers(0, 100, shape), dtype, order=order)
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", a=array)
        found = read_npz(tmp_path / "a.npz")["a"]
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)


def test_members_that_a_checkpoint_does_not_declare(tmp_path):
    path = tmp_path / "a.npz"
    save_checkpoint(path, checkpoint())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("more.npy", npy(np.zeros(3)))
    with pytest.raises(UserError, match=r"does not fit together \(it holds 'more', which its header does not name\)"):
        load_checkpoint(path)


def test_lack_of_memory_is_no_damage(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    save_checkpoint(path, checkpoint())

    def full(*_):
        raise MemoryError("Unable to allocate 1.2 GiB")

    monkeypatch.setattr("scratchnet.utils.npz._fill", full)
    with pytest.raises(MemoryError):
        load_checkpoint(path)
    handmade.write_npz(path, {"a": np.zeros(5)})
    with pytest.raises(MemoryError):
        read_weights(path)


def nested(depth, end):
    """A pickle of tuples of two references each, ``depth`` deep, with something to do at the end: 2ᵈᵉᵖᵗʰ steps."""
    return handmade.PROTOCOL + b")" + b"q\x00" + b"h\x00\x86q\x00" * depth + end + b"."


KEY = b"h\x00"

HASHED = {
    "a key": nested(100, b"}" + KEY + b"Ns"),
    "keys": nested(100, b"}(" + KEY + b"Nu"),
    "a dictionary": nested(100, b"(" + KEY + b"Nd"),
    "a set": nested(100, b"\x8f(" + KEY + b"\x90"),
    "a frozen set": nested(100, b"(" + KEY + b"\x91"),
    "pairs": nested(100, handmade.name("collections", "OrderedDict") + b"](" + KEY + b"N\x86" + b"e\x85R"),
    "a storage": nested(100, b"(" + handmade.text("storage") + KEY * 4 + b"tQ"),
    "the whole storage": nested(100, KEY + b"Q"),
    "a storage's key": nested(
        100,
        b"("
        + handmade.text("storage")
        + handmade.name("torch", "FloatStorage")
        + KEY
        + handmade.text("cpu")
        + b"K\x01tQ",
    ),
    "the content": nested(100, KEY),
    "a value": nested(100, b"}" + handmade.text("a") + KEY + b"s"),
    "a shape": nested(100, handmade.name("torch._utils", "_rebuild_tensor_v2") + b"(NK\x00" + KEY * 2 + b"tR"),
    "many bytes": handmade.PROTOCOL + b"\x96" + struct.pack("<Q", 1 << 40) + b"a.",
    "long bytes": handmade.PROTOCOL + b"\x8e" + struct.pack("<Q", 1 << 40) + b"a.",
    "long text": handmade.PROTOCOL + b"\x8d" + struct.pack("<Q", 1 << 40) + b"a.",
    "a long frame": b"\x80\x04\x95" + struct.pack("<Q", 1 << 40) + b"N.",
    "a long number": handmade.PROTOCOL + b"\x8b" + struct.pack("<i", 1 << 30) + b"a.",
    "a number in words": handmade.PROTOCOL + b"I" + b"9" * 100_000 + b"\n.",
}


@pytest.mark.usefixtures("deadline")
@pytest.mark.parametrize("case", HASHED)
def test_pickles_that_would_take_for_ever(tmp_path, case):
    for write_file in (handmade.write_zip, handmade.write_legacy):
        path = write_file(tmp_path / "a.pth", {}, HASHED[case])
        tracemalloc.start()
        found, refusal = {}, ""
        try:
            found = read_weights(path)
        except UserError as error:
            refusal = str(error)
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert found == {}
        assert "\n" not in refusal
        assert len(refusal) < 1000  # what is nested is not printed either
        assert peak < FEW


def test_one_storage_under_many_names(tmp_path):
    """A tensor that repeats its numbers by strides of 0 is as large in memory as it says."""
    array = np.zeros(4, np.float32)
    tensor = handmade.tensor("0", array).replace(handmade.numbers((4,)), handmade.numbers((1 << 20, 1 << 9)), 1)
    tensor = tensor.replace(handmade.numbers((1,)), handmade.numbers((0, 0)), 1)
    content = handmade.PROTOCOL + handmade.ORDERED + b"(" + handmade.text("a") + tensor + b"u."
    path = handmade.write_zip(tmp_path / "a.pth", {"a": array}, content)
    with pytest.raises(UserError, match=r"shares its values with too many others"):
        read_weights(path)
    with pytest.raises(ValueError, match=r"an array of shape \(1048576, 512\) in 16 bytes"):
        as_array(array.tobytes(), "float32", (1 << 20, 1 << 9), 0, (0, 0))


@pytest.mark.skipif(sys.platform != "linux", reason="limits on memory are Linux's")
def test_too_little_memory_is_said_in_a_line(tmp_path):
    """A process that may have little memory and needs more for a sound checkpoint of 400 MB."""
    code = (
        "import resource, sys; from scratchnet.cli.main import main\n"
        "import numpy, scratchnet.training.checkpoints\n"
        "now = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (now + (200 << 20), -1))\n"
        "sys.exit(main(['evaluate', sys.argv[1], '--data', sys.argv[2]]))"
    )
    path = tmp_path / "a.npz"
    with path.open("wb") as file:
        header = b'{"format": 1, "versions": {"scratchnet": "x"}, "state": {}, "optimizer_state": []}'
        np.savez(file, header=np.frombuffer(header, np.uint8), values=np.zeros(100 << 20, np.float32))
    (tmp_path / "set").mkdir()
    words = [sys.executable, "-c", code, str(path), str(tmp_path / "set")]
    found = subprocess.run(words, env=environment(), capture_output=True, text=True, check=False, timeout=60)
    assert found.returncode == 2
    assert found.stderr.startswith("scratchnet: error: not enough memory")
    assert found.stderr.count("\n") == 1
    assert resource.RLIMIT_AS
