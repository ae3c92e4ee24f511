"""Outputs of a network's custom layers in one pass, to find the layer in which two passes differ."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.capture import CannotCapture, Program, TracedArray
from scratchnet.engine.capture.capture_key import digest
from scratchnet.engine.capture.detached import detached
from scratchnet.layers.builtin import is_builtin
from scratchnet.network import Step


@dataclass
class StepOutputs:
    """Outputs of the custom layers in one pass, in order.

    Attributes
    ----------
    program : Program or None
        The program into which the pass is captured; None for an eager pass.
    digests : list of (step name, bytes)
        Outputs of an eager pass.
    captured : list of (step name, count, arrays)
        Outputs of a captured pass, with the number of calls in the program after which they are complete.
    """

    program: Program | None = None
    digests: list[tuple[str, bytes]] = field(default_factory=list)
    captured: list[tuple[str, int, list[Array]]] = field(default_factory=list)

    def __call__(self, step: Step, result: Any) -> None:
        """Store what a step returned."""
        if is_builtin(step.layer):
            return
        arrays = [a for a in (result if isinstance(result, tuple) else (result,)) if isinstance(a, np.ndarray)]
        if self.program is None:
            self.digests.append((step.name, b"".join(map(digest, arrays))))
            return
        if not all(isinstance(a, TracedArray) for a in arrays):
            raise CannotCapture("it returned an array that was made without a trace (np.asarray, np.array, SciPy, …)")
        self.captured.append((step.name, self.program.count(), [detached(a) for a in arrays]))

    def first_difference(self, eager: "StepOutputs") -> str | None:
        """Run the program again, and return the first step whose outputs differ from those of an eager pass."""
        assert self.program is not None  # only called for captured passes
        calls, done = self.program.calls(), 0
        for (step, count, arrays), (_, expected) in zip(self.captured, eager.digests, strict=False):
            while done < count:
                next(calls)()
                done += 1
            if b"".join(map(digest, arrays)) != expected:
                return step
        return None
