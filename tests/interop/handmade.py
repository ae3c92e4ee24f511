"""Files of weights written byte by byte, so that PyTorch is not needed to test how they are read."""

import json
import struct
import zipfile

import numpy as np

STORAGE = {"f8": "DoubleStorage", "f4": "FloatStorage", "f2": "HalfStorage", "i8": "LongStorage", "u1": "ByteStorage"}
PROTOCOL, STOP, EMPTY_TUPLE, REDUCE, BUILD, MARK, TUPLE = b"\x80\x02", b".", b")", b"R", b"b", b"(", b"t"
SYSTEM = PROTOCOL + b"}(" + b"X\x0d\x00\x00\x00little_endian" + b"\x88u."


def name(module, what):
    return b"c" + module.encode() + b"\n" + what.encode() + b"\n"


def text(value):
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value):
    return b"J" + struct.pack("<i", value)


def numbers(values):
    return MARK + b"".join(map(number, values)) + TUPLE


ORDERED = name("collections", "OrderedDict") + EMPTY_TUPLE + REDUCE


def tensor(key, array, *, legacy=False, first_version=False, parameter=False, cuda=False):
    """What a pickle says about one tensor that fills its storage."""
    steps = [step // array.itemsize for step in array.strides]
    storage = (
        MARK
        + text("storage")
        + name("torch.cuda" if cuda else "torch", STORAGE[array.dtype.str[1:]])
        + text(key)
        + text("cpu")
        + number(array.size)
        + (b"N" if legacy else b"")
        + TUPLE
        + b"Q"
    )
    rebuild = name("torch._utils", "_rebuild_tensor" if first_version else "_rebuild_tensor_v2")
    gradient = b"" if first_version else b"\x89" + ORDERED
    made = rebuild + MARK + storage + number(0) + numbers(array.shape) + numbers(steps) + gradient + TUPLE + REDUCE
    if not parameter:
        return made
    if first_version:  # as in 2017: a call with the tensor, then its state
        state = MARK + b"\x88\x89" + ORDERED + TUPLE
        return name("torch.nn.parameter", "Parameter") + MARK + made + TUPLE + REDUCE + state + BUILD
    return name("torch._utils", "_rebuild_parameter") + MARK + made + b"\x88" + ORDERED + TUPLE + REDUCE


def content(arrays, **how):
    """A whole pickle: an ordered dictionary of tensors."""
    items = b"".join(text(key) + tensor(str(i), array, **how) for i, (key, array) in enumerate(arrays.items()))
    return PROTOCOL + ORDERED + MARK + items + b"u" + STOP


def write_zip(path, arrays, pickled=None, compression=zipfile.ZIP_STORED, byteorder="little", **how):
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", content(arrays, **how) if pickled is None else pickled)
        archive.writestr("archive/byteorder", byteorder)
        for i, array in enumerate(arrays.values()):
            archive.writestr(f"archive/data/{i}", storage(array))
        archive.writestr("archive/version", "3\n")
    return path


def write_legacy(path, arrays, pickled=None, **how):
    magic = PROTOCOL + b"\x8a\x0a" + (0x1950A86A20F9469CFC6C).to_bytes(10, "little") + STOP
    version = PROTOCOL + number(1001) + STOP
    keys = PROTOCOL + b"](" + b"".join(text(str(i)) for i in range(len(arrays))) + b"e" + STOP
    tensors = content(arrays, legacy=True, **how) if pickled is None else pickled
    data = b"".join(struct.pack("<q", array.size) + storage(array) for array in arrays.values())
    path.write_bytes(magic + version + SYSTEM + tensors + keys + data)
    return path


def storage(array):
    """An array's numbers in the order in which they lie in memory."""
    return array.tobytes(order="A")


def write_safetensors(path, arrays, **header):
    kinds = {"f8": "F64", "f4": "F32", "f2": "F16", "i8": "I64", "u1": "U8"}
    data, entries = b"", {"__metadata__": {"format": "pt"}}
    for key, array in arrays.items():
        end = len(data) + array.nbytes
        entries[key] = {
            "dtype": kinds[array.dtype.str[1:]],
            "shape": list(array.shape),
            "data_offsets": [len(data), end],
        }
        data += np.ascontiguousarray(array).tobytes()
    words = json.dumps(entries | header).encode()
    path.write_bytes(struct.pack("<Q", len(words)) + words + data)
    return path


def write_npz(path, arrays):
    with path.open("wb") as file:
        np.savez(file, **arrays)
    return path
