"""Comparison of an exported network with the original, in onnxruntime on random images.

Two programs round differently, and if the two largest values of a pooling window are almost equal, they may choose
different ones. The value is the same, but unpooling places it elsewhere, which no tolerance covers. So the model also
outputs its switches. They must point at values equal to the maximum, and the network continues with them: then all
values must agree.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.data import Preprocessing
from scratchnet.engine.cpu.blas import one_blas_thread
from scratchnet.engine.modes import precise
from scratchnet.interop.onnx_export import Exported, padded_size
from scratchnet.interop.switches import from_onnx
from scratchnet.losses import probabilities
from scratchnet.network import Network
from scratchnet.ops.pooling import max_unpool2d_backward
from scratchnet.ops.switches import Switches

LIMIT = 1e-4
"""Largest accepted difference."""


@dataclass
class Comparison:
    """Differences between two programs.

    Attributes
    ----------
    scores : float
        Largest difference, as a share of the largest score if that is above 1.
    probabilities : float
        Largest difference between the other program's probabilities and those that follow from its scores.
    windows, differing : int
        Pooling windows whose switches are used, and those of them where another of two equal maxima was chosen.
    gap : float
        Largest difference between the maximum of a window and the value that the other program chose, as a share of
        the largest value of that map if that is above 1.
    """

    scores: float = 0.0
    probabilities: float = 0.0
    windows: int = 0
    differing: int = 0
    gap: float = 0.0

    @property
    def agrees(self) -> bool:
        """Whether every difference is at most :data:`LIMIT`; False if any is NaN."""
        return all(difference <= LIMIT for difference in (self.scores, self.probabilities, self.gap))


def onnxruntime_version() -> str | None:
    """Return the version of onnxruntime, or None if it is not installed."""
    try:
        import onnxruntime
    except ImportError:
        return None
    return str(onnxruntime.__version__)


def compare(exported: Exported, network: Network, preprocessing: Preprocessing, images: Array) -> Comparison:
    """Run the exported model in onnxruntime and compare.

    Parameters
    ----------
    exported : Exported
    network : Network
        The exported network, float32.
    preprocessing : Preprocessing
    images : (n, h, w, 3) uint8
        Images of a size that the network accepts. If batch norm uses statistics per image, only the first is used.
    """
    if any(layer.uses_batch for layer in network.batch_norms().values()):
        images = images[:1]
    outputs = _run(exported, images)
    h, w = images.shape[1:3]
    height, width = padded_size(network, (h, w))
    b = network.valid_margin
    x = replace(preprocessing, resize=None).apply(images)
    x = np.pad(x, [(0, 0), (b, b), (b, b), (0, 0)], mode="symmetric")
    x = np.pad(x, [(0, 0), (0, height - h - 2 * b), (0, width - w - 2 * b), (0, 0)], mode="symmetric")
    indices = {name: outputs[pool.indices] for name, pool in exported.pools.items()}
    result = Comparison()
    logits = _follow(network, x, indices, result)[:, :h, :w]
    result.scores = _difference(outputs["scores"], logits, logits)
    result.probabilities = _difference(outputs["probabilities"], probabilities(outputs["scores"]))
    return result


def _run(exported: Exported, images: Array) -> dict[str, Array]:
    """Return the outputs of the model and the indices of its poolings, by name."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only, no notes on optimisation
    outputs = exported.model.graph.output
    count = len(outputs)
    for pool in exported.pools.values():
        outputs.add().name = pool.indices
    try:
        session = onnxruntime.InferenceSession(
            exported.model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    finally:
        del outputs[count:]
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {exported.inputs[0].name: images}), strict=True))


def _follow(network: Network, x: Array, indices: Mapping[str, Array], result: Comparison) -> Array:
    """Run the network with another program's switches, and record in ``result`` how they differ from its own."""
    values: dict[str, Any] = {"input": x}
    last_use = {name: step.name for step in network.steps for name in step.inputs}
    pools = network.pools()
    with one_blas_thread(), precise():  # checks the translation, not Winograd's rounding
        for step in network.steps:
            y = step.layer.forward(*(values[name] for name in step.inputs))
            name = f"{step.name}.switches"
            pool = pools.get(step.name)
            if pool is not None and pool.switches is not None and name in indices:
                x, own = values[step.inputs[0]], pool.switches
                values[name] = _compared(own, pool.ceil_mode, indices[name], x, y, result)
            step.layer.release()
            values[step.name] = y
            values = {name: value for name, value in values.items() if last_use.get(name) != step.name}
    output: Array = values[network.steps[-1].name]
    return output


def _compared(own: Switches, ceil_mode: bool, indices: Array, x: Array, y: Array, result: Comparison) -> Switches:
    """Return the other program's switches, and record in ``result`` how they differ from ``own``."""
    size = own.size
    if ceil_mode:  # the other program saw the map continued until its windows fit
        ends = [(y.shape[i + 1] - 1) * own.stride[i] + own.kernel[i] - 2 * own.padding[i] for i in (0, 1)]
        size = max(size[0], ends[0]), max(size[1], ends[1])
    chosen = replace(from_onnx(indices, size, own.kernel, own.stride, own.padding), size=own.size)
    result.windows += y.size
    result.differing += int(np.count_nonzero(chosen.index != own.index))
    result.gap = max(result.gap, _difference(max_unpool2d_backward(x, chosen), y, y))
    return chosen


def _difference(actual: Array, expected: Array, scale: Array | None = None) -> float:
    """Return the largest difference, divided by the largest magnitude in ``scale`` if that is above 1."""
    difference = float(np.abs(actual - expected).max())
    return difference if scale is None else difference / max(1.0, float(np.abs(scale).max()))
