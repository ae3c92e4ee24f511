"""Compare the first replay of a network with custom layers to an eager pass.

A custom layer can bypass the recorder without any sign: ``np.asarray(x)``, a SciPy function, a counter, a draw from
``np.random``. The values that it computed in this way become constants of the captured program. The first replay on an
input other than the captured one is therefore run alongside an eager pass from the same state, and outputs, gradients,
buffers and random streams must be bitwise equal. If they are not, both passes are compared step by step to find the
name of the layer.
"""

from dataclasses import dataclass

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.capture import Program
from scratchnet.engine.capture.capture import Capture
from scratchnet.engine.capture.capture_key import digest
from scratchnet.engine.capture.network_state import NetworkState, same_bits
from scratchnet.engine.capture.step_outputs import StepOutputs
from scratchnet.engine.memory.arena import Arena
from scratchnet.engine.memory.pool import allocate_from
from scratchnet.network import Network
from scratchnet.network.watching import watched_by

CONSTANT_VALUES = (
    "a replay and an eager pass gave different values, so the capture contains values as constants (np.asarray, "
    "np.array, SciPy, a counter, a random draw, …)"
)


@dataclass
class FirstReplay:
    """A forward pass that was both replayed and run eagerly, and its backward pass.

    Attributes
    ----------
    network : Network
    capture : Capture
    y : Array
        Result of the eager pass.
    before, after : NetworkState
        State before the forward pass, and after the eager one.
    new_input : bool
        Whether the input differs from the captured one.
    mismatch : str or None
        Name of the first step whose replay differs, "" if it is unknown, None if the passes agree.
    """

    network: Network
    capture: Capture
    y: Array
    before: NetworkState
    after: NetworkState
    new_input: bool
    mismatch: str | None = None

    def backward(self, needs_input_grad: bool) -> Array | None:
        """Run the backward pass of ``capture.dy`` eagerly and replay it; return dx. Existing gradients are replaced.

        If both agree, the layers are left as after a replay, otherwise as after the eager pass.
        """
        assert self.capture.dy is not None  # set with the program
        dy = self.capture.dy.copy()  # a replay of the forward pass may overwrite it
        grads, before, outputs = self.network.flat().grads, NetworkState(self.network), StepOutputs()
        self.after.restore_attributes()
        with allocate_from(Arena()), watched_by(outputs):
            dx = self.network.backward(dy, needs_input_grad, add=False)
        eager, expected = NetworkState(self.network), grads.copy()
        before.restore()
        self._run(self.capture.backward)
        replayed, result = NetworkState(self.network), grads.copy()
        same = same_bits(result, expected) and (not needs_input_grad or same_bits(dx, self.capture.dx))
        if same and replayed.contents() == eager.contents():
            if digest(dy) != self.capture.dy_digest or self._is_linear(dy, expected, dx):
                self.capture.verified.add(self.new_input)
            replayed.restore()
        else:
            self._replay_forward(dy)
            differing = self.capture.outputs[1].first_difference(outputs)
            self.mismatch = differing or self._differing_parameter(result, expected)
            eager.restore()
        grads[...] = expected
        return dx

    def _is_linear(self, dy: Array, expected: Array, dx: Array | None) -> bool:
        """Return whether doubling dy doubles the gradients: with an unchanged dy, a constant dy would go unnoticed."""
        self._replay_forward(2 * dy)
        self._run(self.capture.backward)
        doubled = same_bits(self.network.flat().grads, 2 * expected)
        return doubled and (dx is None or same_bits(self.capture.dx, 2 * dx))

    def _replay_forward(self, dy: Array) -> None:
        """Replay the forward pass from its initial state, and set the gradient of the backward pass that follows."""
        self.before.restore()
        self._run(self.capture.forward)
        assert self.capture.dy is not None  # set with the program
        np.copyto(self.capture.dy, dy)

    def _run(self, program: Program | None) -> None:
        assert program is not None  # only complete captures are compared
        self.capture.run(program)

    def _differing_parameter(self, grads: Array, expected: Array) -> str:
        """Return the step of the first parameter whose gradient differs, "" if there is none."""
        begin = 0
        for name, parameter in self.network.parameters().items():
            part = slice(begin, begin := begin + parameter.size)
            if not same_bits(grads[part], expected[part]):
                return name.partition(".")[0]
        return ""


def compare_forward(network: Network, capture: Capture, keep: bool) -> FirstReplay:
    """Run the forward pass of ``capture.x`` eagerly, and replay it.

    If both agree, the layers are left as after a replay, otherwise as after the eager pass.
    """
    assert capture.forward is not None  # it was captured
    capture.fork_workers()
    x, before, outputs = capture.x, NetworkState(network), StepOutputs()
    with allocate_from(Arena()), watched_by(outputs):
        y = network.forward(x, keep)
    replay = FirstReplay(network, capture, y, before, NetworkState(network), digest(x) != capture.x_digest)
    before.restore()
    capture.run(capture.forward)
    if not same_bits(y, capture.y) or NetworkState(network).contents() != replay.after.contents():
        before.restore()
        replay.mismatch = capture.outputs[0].first_difference(outputs) or ""
        replay.after.restore()
    elif not keep:
        capture.verified.add(replay.new_input)
    return replay
