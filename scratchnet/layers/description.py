"""Statements of a layer about itself, for tables, drawings, receptive fields and the gradient checker.

Nothing here is needed to train. A layer that states nothing is listed under its class name, and drawings and receptive
fields refuse it instead of guessing.

A statement belongs to one ``forward``: a subclass with a ``forward`` of its own must state its ``kind`` again, or it
counts as unknown (:func:`scratchnet.layers.builtin.known_kind`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from scratchnet.arrays import Array
from scratchnet.layers.window import Window

LayerKind: TypeAlias = Literal[
    "conv", "deconv", "pool", "unpool", "copy", "frame", "blend", "add", "concat", "pixelwise", "unknown"
]
"""Relation between the positions of a layer's inputs and outputs.

==========  ==================================================================
conv        each output pixel is a weighted sum over a window
deconv      each input pixel is spread over a window by weights
pool        each output pixel is chosen from a window
unpool      each input pixel is put back where a pool chose it
copy        input pixels are copied, one or more times
frame       the map is moved within larger or smaller borders: crop, zero padding
blend       neighbouring pixels are mixed by fixed weights
add         several maps are summed
concat      the channels of several maps are joined
pixelwise   each output pixel depends on the input pixel at the same position
unknown     not stated
==========  ==================================================================
"""

POSITION_KEEPING = ("pixelwise", "add", "concat")
"""Kinds whose output pixel sees the pixel at its own position in every input."""

ROUNDING = 64 * float(np.finfo(np.float64).eps)
"""Values that differ by less than this share of the map's largest count as equal."""


@dataclass(frozen=True)
class InputInfo:
    """An input of a layer, as far as it is known before anything is computed.

    Attributes
    ----------
    shape : (n, h, w, c)
        As :meth:`Layer.output_shape` takes it.
    window : Window or None
        For an extra output such as switches, the window of the layer that made it.
    """

    shape: tuple[int, int, int, int]
    window: Window | None = None


class Description:
    """Base class of :class:`Layer <scratchnet.layers.Layer>`: its statements about itself, with careful defaults."""

    kind: LayerKind = "unknown"
    """How the layer treats positions."""

    example: tuple[Any, ...] = ()
    """Constructor arguments that checks use, for maps of four channels."""

    drawn_with: Literal["nothing", "learned", "anything"] = "nothing"
    """The preceding layers with which a drawing shows this one as a single layer: only those with parameters, so that
    convolution, batch norm and ReLU are one box, or any."""

    mixes_channels = False
    """Whether channel c of the output depends on other channels than c of the input."""

    mixes_images = False
    """Whether, in evaluation, the output of an image depends on the other images of its batch."""

    uses_image_statistics = False
    """Whether a mean over the whole image enters every output pixel. Receptive fields do not count it."""

    extra_outputs: tuple[str, ...] = ()
    """Attributes that :meth:`forward <Layer.forward>` sets and later steps may take, as ``STEP.NAME``. They have no
    gradient, and :meth:`output_shape <Layer.output_shape>` of the taking layer receives this layer's input shape."""

    def windows(self, *inputs: InputInfo) -> Sequence[Window | None]:
        """Return the window of every input; None for an input of which only the size is used.

        Must be overridden unless the layer keeps positions (kinds ``pixelwise``, ``add`` and ``concat``).
        """
        if self.kind not in POSITION_KEEPING:
            raise NotImplementedError(
                f"{type(self).__name__} must define windows(), the input pixels that an output pixel sees"
            )
        return [Window() for _ in inputs]

    def weights_between(self, outputs: Sequence[int], inputs: Sequence[int]) -> Array | None:
        """Return the weights (outputs, inputs, kh, kw) between chosen channels; None for a layer without a kernel.

        Channels that are not connected have weight 0. A layer with one kernel for every channel returns (1, 1, kh, kw).
        """
        return None

    def decisions(self, inputs: Sequence[Any], output: Array) -> list[Array]:
        """Return the quantities whose sign decides a branch, or which branch was taken, for the gradient checker.

        Floating-point arrays are compared by sign, up to rounding; boolean and integer arrays by value. A layer without
        kinks returns none.

        Parameters
        ----------
        inputs : sequence of arrays
            As :meth:`forward <Layer.forward>` received them. A layer that overwrites its input must not read them.
        output : Array
        """
        return []

    def multiply_adds(self, *shapes: tuple[int, int, int, int]) -> int:
        """Return the multiply-adds of one forward pass; 0 for layers without matrix products."""
        return 0

    def extra_bytes(self, *shapes: tuple[int, int, int, int]) -> int:
        """Return the bytes of each extra output for inputs of these shapes."""
        return 0

    def describe(self) -> str:
        """Return a short description for tables and drawings."""
        return type(self).__name__
