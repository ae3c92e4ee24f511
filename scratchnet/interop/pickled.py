"""Read tensors from a pickle without executing it.

A pickle is a program: it names functions of any module, and loading it calls them. Weight files need five such names.
Here these five map to harmless stand-ins that record a tensor's parts, and any other name is refused. The
stand-ins have no settable attributes, so a pickle cannot change them either.

A small pickle can also keep its reader busy for ever: a tuple of two references to a tuple of two references … takes a
few bytes and 2ⁿ steps to hash, compare or print. So keys must be scalars or flat tuples of scalars, and no value from a
pickle is put into a message before its type is checked.
"""

import pickle
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from scratchnet.utils.errors import UserError

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
    """A one-dimensional array of elements in the file, which tensors are views of."""

    key: str
    kind: str
    length: int


class Tensor(NamedTuple):
    """A view of a storage; ``offset`` and ``strides`` are in elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def __setstate__(self, state: object) -> None:
        """Ignore the state of a parameter in files from before 2018: whether it requires a gradient."""


class _RebuildTensor:
    """Stands in for ``torch._utils._rebuild_tensor`` and its second version, which also takes ``requires_grad``."""

    __slots__ = ()

    def __call__(self, storage: Storage, offset: int, shape: Any, strides: Any, *gradient: object) -> Tensor:
        if not isinstance(storage, Storage) or not all(type(n) is int for n in (offset, *shape, *strides)):
            raise pickle.UnpicklingError("a tensor without a storage, or whose shape is not made of integers")
        return Tensor(storage, offset, tuple(shape), tuple(strides))


class _Unwrap:
    """Stands in for a parameter, which is a tensor that requires a gradient."""

    __slots__ = ()

    def __call__(self, tensor: Tensor, *gradient: object) -> Tensor:
        return tensor


class _Ordered:
    """Stands in for OrderedDict, whose constructor would hash keys of any type."""

    __slots__ = ()

    def __call__(self, items: Iterable[Any] = ()) -> OrderedDict[Any, Any]:
        pairs = [(key, value) for key, value in items]
        _check_keys(key for key, _ in pairs)
        return OrderedDict(pairs)


_KNOWN = {
    "collections.OrderedDict": _Ordered(),
    "torch._utils._rebuild_tensor": _RebuildTensor(),
    "torch._utils._rebuild_tensor_v2": _RebuildTensor(),
    "torch._utils._rebuild_parameter": _Unwrap(),
    "torch.nn.parameter.Parameter": _Unwrap(),
    **{f"{module}.{name}": kind for name, kind in STORAGES.items() for module in ("torch", "torch.cuda")},
}


def read_pickle(file: BinaryIO, path: Path) -> tuple[Any, dict[str, Storage]]:
    """Read one pickle, which leaves the file positioned after it.

    Parameters
    ----------
    file : binary file
        Bounded: a :class:`BoundedFile <scratchnet.utils.input_files.BoundedFile>` or a ``BytesIO``.
    path : Path
        The file's path, for messages.

    Returns
    -------
    content
        The pickle's content, with tensors as :class:`Tensor`.
    storages : dict of str to Storage
        The storages that the pickle refers to, by key.

    Raises
    ------
    UserError
        If the pickle names anything but tensors.
    UnpicklingError
        If the pickle is damaged; Python then also raises other errors.
    """
    reader = _TensorUnpickler(file, path)
    return reader.load(), reader.storages


def _check_keys(keys: Iterable[Any]) -> None:
    """Refuse keys whose hash may take for ever to compute."""
    for key in keys:
        if not all(isinstance(part, _SCALARS) for part in (key if type(key) is tuple else (key,))):
            raise pickle.UnpicklingError(f"a key of type {type(key).__name__}")


_SCALARS = (str, bytes, int, float, type(None))

_PurePython: Any = pickle._Unpickler  # the Python implementation, whose single operations can be overridden


def _after_checking(opcode: bytes, first: int, step: int) -> Callable[[Any], None]:
    """Return the operation that adds all items after the stack's last mark to a dictionary or set, and check keys."""
    add: Callable[[Any], None] = _PurePython.dispatch[opcode[0]]

    def checked(reader: Any) -> None:
        _check_keys(reader.stack[first::step])
        add(reader)

    return checked


def _set_item(reader: Any) -> None:
    """Add one key and its value."""
    _check_keys(reader.stack[-2:-1])
    _PurePython.dispatch[pickle.SETITEM[0]](reader)


def _refuse(reader: Any) -> None:
    """Refuse byte arrays: no weight file needs them, and this operation allocates memory before it reads."""
    raise pickle.UnpicklingError("an array of bytes")


class _TensorUnpickler(_PurePython):  # type: ignore[misc]
    """An unpickler that maps names to stand-ins and checks keys."""

    dispatch = _PurePython.dispatch | {
        pickle.DICT[0]: _after_checking(pickle.DICT, 0, 2),
        pickle.SETITEMS[0]: _after_checking(pickle.SETITEMS, 0, 2),
        pickle.ADDITEMS[0]: _after_checking(pickle.ADDITEMS, 0, 1),
        pickle.FROZENSET[0]: _after_checking(pickle.FROZENSET, 0, 1),
        pickle.SETITEM[0]: _set_item,
        pickle.BYTEARRAY8[0]: _refuse,
    }

    def __init__(self, file: BinaryIO, path: Path) -> None:
        super().__init__(file, encoding="utf-8")
        self.path = path
        self.storages: dict[str, Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in for a name."""
        full_name = f"{module}.{name}"
        if full_name not in _KNOWN:
            raise UserError(
                f"{self.path}: names {full_name[:200]!r}, but a file of weights holds tensors only, so nothing in it "
                "was run; save the state dict alone: torch.save(model.state_dict(), FILE)"
            )
        return _KNOWN[full_name]

    def persistent_load(self, pid: Any) -> Storage:
        """Record a storage ("storage", kind, key, device, length); old files add None or a view of another storage."""
        if type(pid) is not tuple or not all(isinstance(part, _SCALARS) for part in pid):
            raise pickle.UnpicklingError("a storage that is described otherwise")
        tag, kind, key, _, length, *view = pid
        known = tag == "storage" and kind in STORAGES.values() and type(length) is int
        if not known or any(part is not None for part in view):
            raise pickle.UnpicklingError(f"unknown storage {str(pid)[:200]}")
        return self.storages.setdefault(str(key), Storage(str(key), kind, length))
