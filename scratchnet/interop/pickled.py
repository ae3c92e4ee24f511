"""Tensors in a pickle, without running what the pickle says.

A pickle is a program: it names functions of any module, and loading it calls them. Files of weights need five such
names. Here those five lead to harmless stand-ins that write down what a tensor consists of, and every other name ends
the reading. The stand-ins take no attributes, so a pickle cannot change them either.
"""

import pickle
import pickletools
from collections import OrderedDict
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from scratchnet.errors import UserError

STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}


class Storage(NamedTuple):
    """A row of numbers somewhere in the file."""

    key: str
    kind: str
    length: int


class Tensor(NamedTuple):
    """A view of a storage; ``offset`` and ``strides`` count numbers."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def __setstate__(self, state: object) -> None:
        """Ignore what files from before 2018 add to a parameter: whether it wants a gradient."""


class _RebuildTensor:
    """Stands in for ``torch._utils._rebuild_tensor`` and its second version, which knows about gradients."""

    __slots__ = ()

    def __call__(self, storage: Storage, offset: int, shape: Any, strides: Any, *gradient: object) -> Tensor:
        return Tensor(storage, offset, tuple(shape), tuple(strides))


class _Unwrap:
    """Stands in for a parameter, which is a tensor that wants a gradient."""

    __slots__ = ()

    def __call__(self, tensor: Tensor, *gradient: object) -> Tensor:
        return tensor


_KNOWN = {
    "collections.OrderedDict": OrderedDict,
    "torch._utils._rebuild_tensor": _RebuildTensor(),
    "torch._utils._rebuild_tensor_v2": _RebuildTensor(),
    "torch._utils._rebuild_parameter": _Unwrap(),
    "torch.nn.parameter.Parameter": _Unwrap(),
    **{f"{module}.{name}": kind for name, kind in STORAGES.items() for module in ("torch", "torch.cuda")},
}


def read_pickle(file: BinaryIO, path: Path) -> tuple[Any, dict[str, Storage]]:
    """Read one pickle and leave the file behind it.

    Parameters
    ----------
    file : binary file
    path : Path
        For messages.

    Returns
    -------
    content
        Whatever the pickle holds, tensors as :class:`Tensor`.
    storages : dict of str to Storage
        Those that the pickle mentions, by key.

    Raises
    ------
    UserError
        When the pickle names anything but tensors.
    pickle.UnpicklingError, and whatever else a damaged pickle makes Python raise
    """
    start = file.tell()
    for number, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        # Python makes room for as many remembered objects as the highest number says, however few there are.
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and (argument is None or argument > number):
            raise pickle.UnpicklingError(f"object {argument} is remembered at step {number}")
    file.seek(start)
    reader = _TensorUnpickler(file, path)
    return reader.load(), reader.storages


class _TensorUnpickler(pickle.Unpickler):
    """Looks names up in the list of stand-ins."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        super().__init__(file, encoding="utf-8")
        self.path = path
        self.storages: dict[str, Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in for a name."""
        wanted = f"{module}.{name}"
        if wanted not in _KNOWN:
            raise UserError(
                f"{self.path}: names {wanted!r}, but a file of weights holds tensors only, so nothing in it was run; "
                "save the state dict alone: torch.save(model.state_dict(), FILE)"
            )
        return _KNOWN[wanted]

    def persistent_load(self, pid: Any) -> Storage:
        """Take note of a storage: ("storage", kind, key, device, length), and in old files a view of another one."""
        what, kind, key, _, length, *view = pid
        if what != "storage" or kind not in STORAGES.values() or any(part is not None for part in view):
            raise pickle.UnpicklingError(f"unknown storage {pid!r}")
        return self.storages.setdefault(str(key), Storage(str(key), kind, length))
