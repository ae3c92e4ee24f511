"""Connections between the output and input pixels of every step; the rule is in :mod:`scratchnet.layers.window`."""

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from scratchnet.layers.builtin import known_kind
from scratchnet.layers.description import InputInfo
from scratchnet.layers.window import Window
from scratchnet.network import Network, Step
from scratchnet.ops.geometry import Pair


class Connection(NamedTuple):
    """Connection between a step's output and the value ``source``."""

    source: str
    window: Window


class AxisGrid(NamedTuple):
    """Image positions of a map's pixels along one axis: the centre of pixel i is at ``start + jump·i``."""

    start: float
    jump: float


def connections(net: Network, size: Pair) -> dict[str, list[Connection]]:
    """Return the connections of every step to its inputs, for an input of ``size`` (h, w).

    Extra outputs, such as the switches of a pooling, are listed as separate values, ``STEP.switches``. An input that
    only provides its size, as for a crop, is omitted.

    Raises
    ------
    ValueError
        If the receptive field of a layer is unknown.
    """
    shapes = net.shapes(size)
    found: dict[str, list[Connection]] = {}
    extras: dict[str, Window] = {}
    for step in net.steps:
        inputs = [InputInfo(shapes[name], extras.get(name)) for name in step.inputs]
        windows = _windows(step, inputs)
        linked = [Connection(name, window) for name, window in zip(step.inputs, windows, strict=True) if window]
        for value in (step.name, *step.extra_values):
            found[value] = linked
        extras |= dict.fromkeys(step.extra_values, linked[0].window)
    return found


def _windows(step: Step, inputs: Sequence[InputInfo]) -> Sequence[Window | None]:
    if known_kind(step.layer) != "unknown":
        with suppress(NotImplementedError):
            return step.layer.windows(*inputs)
    raise ValueError(
        f"step '{step.name}': it is not known which pixels a {type(step.layer).__name__} sees; receptive fields need "
        "layers that state their kind and windows()"
    )


def pixel_grids(net: Network, size: Pair) -> dict[str, tuple[AxisGrid, AxisGrid]]:
    """Return the image positions of the rows and columns of every value.

    For steps with several inputs, the last one determines the position: a skip connection or the switches, which come
    from a shallower map and are located more precisely.
    """
    found = {"input": (AxisGrid(0.0, 1.0), AxisGrid(0.0, 1.0))}
    for name, (*_, last) in connections(net, size).items():
        rows, columns = found[last.source]
        found[name] = (_middle(rows, last.window, 0), _middle(columns, last.window, 1))
    return found


def _middle(before: AxisGrid, window: Window, axis: int) -> AxisGrid:
    reach = window.dilation[axis] * (window.kernel[axis] - 1) / 2 - window.padding[axis]
    stride = window.stride[axis]
    if window.transposed:
        return AxisGrid(before.start - before.jump * reach / stride, before.jump / stride)
    return AxisGrid(before.start + before.jump * reach, before.jump * stride)
