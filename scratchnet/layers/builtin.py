"""Which layers are exactly the package's own.

A network may let one layer do the work of its neighbour, a drawing may assume which pixels a layer sees, and a file
format may write a layer under a standard name. All of that is only right for the classes of this package as they were
written. A subclass may compute something else, and so may an object, or a class, whose ``forward`` was replaced.
"""

import weakref

from scratchnet.layers.activation import Dropout, ReLU, Scale
from scratchnet.layers.arrangement import Add, Concatenate, Crop, Pad
from scratchnet.layers.base import Layer
from scratchnet.layers.convolution import Conv2d, ConvTranspose2d
from scratchnet.layers.normalization import BatchNorm2d, LocalResponseNorm
from scratchnet.layers.pooling import MaxPool2d, MaxUnpool2d
from scratchnet.layers.resampling import BedOfNails, BilinearTranspose2d, UpsampleBilinear, UpsampleNearest

BUILTIN: tuple[type[Layer], ...] = (
    Add, BatchNorm2d, BedOfNails, BilinearTranspose2d, Concatenate, Conv2d, ConvTranspose2d, Crop, Dropout,
    LocalResponseNorm, MaxPool2d, MaxUnpool2d, Pad, ReLU, Scale, UpsampleBilinear, UpsampleNearest,
)  # fmt: skip
"""All layer classes of the package."""

_AS_WRITTEN = {cls: (cls.forward, cls.backward) for cls in BUILTIN}

_CLASS_ATTRIBUTES: "weakref.WeakKeyDictionary[type[Layer], frozenset[str]]" = weakref.WeakKeyDictionary()


def is_builtin(layer: Layer) -> bool:
    """Return whether a layer is exactly one of the package's classes, with no method replaced."""
    kind = type(layer)
    return _AS_WRITTEN.get(kind) == (kind.forward, kind.backward) and not is_patched(layer)


def is_patched(layer: Layer) -> bool:
    """Return whether a method or class attribute was replaced on the object itself, as in ``layer.forward = …``."""
    kind = type(layer)
    if kind not in _CLASS_ATTRIBUTES:
        _CLASS_ATTRIBUTES[kind] = frozenset(dir(kind))
    return not _CLASS_ATTRIBUTES[kind].isdisjoint(vars(layer))


def builtin_base(layer: Layer) -> type[Layer] | None:
    """Return the package's class whose ``forward`` and ``output_shape`` a layer has; None for a layer with its own.

    ``class Conv3x3(Conv2d)`` that only defines ``__init__`` sees the same pixels as a Conv2d.
    """
    if is_patched(layer):
        return None
    for base in type(layer).__mro__:
        if base in _AS_WRITTEN:
            same = type(layer).forward is _AS_WRITTEN[base][0] and type(layer).output_shape is base.output_shape
            return base if same else None
    return None
