"""One replay beside a plain pass from the same state: whether they agree to the bit, and if not, where it began."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scratchnet.arrays import Array
from scratchnet.engine.capture import Program
from scratchnet.engine.capture.capture_key import digest
from scratchnet.engine.capture.first_replay import State, Trail, same_bits
from scratchnet.engine.memory.arena import Arena
from scratchnet.engine.memory.pool import allocate_from
from scratchnet.network import Network
from scratchnet.network.watching import watched_by

if TYPE_CHECKING:
    from scratchnet.engine.capture.captured_network import Capture


FROZEN = (
    "a replay gave other numbers than a plain pass, so some of them were frozen into the recording (np.asarray, "
    "np.array, SciPy, a counter, a random draw, …)"
)


@dataclass
class Trial:
    """A forward pass that was replayed and made plainly, until its backward pass comes.

    Attributes
    ----------
    network : Network
    tape : Capture
        The recording.
    y : Array
        Result of the plain pass.
    start, plain : State
        Before the forward pass, and after the plain one.
    other : bool
        Whether on other numbers than the recorded ones.
    odd : str or None
        The step that was replayed wrongly: "" where it cannot be told, None where all agreed.
    """

    network: Network
    tape: "Capture"
    y: Array
    start: State
    plain: State
    other: bool
    odd: str | None = None

    def backward(self, needs_input_grad: bool) -> Array | None:
        """Do the same with the backward pass of ``tape.dy``; return dx. The gradients take the place of others.

        Where all agreed, the layers are as after a replay, else as after the plain pass.
        """
        dy, program = self.tape.dy, self.tape.backward
        assert dy is not None  # set with the program
        grads, start, trail = self.network.flat().grads, State(self.network), Trail()
        self.plain.restore_attributes()
        with allocate_from(Arena()), watched_by(trail):
            dx = self.network.backward(dy, needs_input_grad, add=False)
        plain, expected = State(self.network), grads.copy()
        start.restore()
        self._run(program)
        replayed, result = State(self.network), grads.copy()
        same = same_bits(result, expected) and (not needs_input_grad or same_bits(dx, self.tape.dx))
        if same and replayed.numbers() == plain.numbers():
            if digest(dy) != self.tape.recorded_dy or self._is_linear(dy, expected, dx):
                self.tape.proven.add(self.other)
            replayed.restore()
        else:
            self.start.restore()
            self._run(self.tape.forward)
            self.odd = self.tape.trails[1].first_difference(trail) or self._odd_parameter(result, expected)
            plain.restore()
        grads[...] = expected
        return dx

    def _is_linear(self, dy: Array, expected: Array, dx: Array | None) -> bool:
        """Return whether twice the gradient gives twice the gradients: a frozen dy would not show on the same dy."""
        self.start.restore()
        self._run(self.tape.forward)
        np.multiply(dy, 2, out=dy)
        self._run(self.tape.backward)
        twice = same_bits(self.network.flat().grads, 2 * expected)
        return twice and (dx is None or same_bits(self.tape.dx, 2 * dx))

    def _run(self, program: Program | None) -> None:
        assert program is not None  # only whole recordings are tried
        self.tape.run(program)

    def _odd_parameter(self, grads: Array, expected: Array) -> str:
        """Return the step of the first parameter whose gradient is another, "" where there is none."""
        begin = 0
        for name, parameter in self.network.parameters().items():
            part = slice(begin, begin := begin + parameter.size)
            if not same_bits(grads[part], expected[part]):
                return name.partition(".")[0]
        return ""


def try_forward(network: Network, tape: "Capture", keep: bool) -> Trial:
    """Make the forward pass of ``tape.x`` plainly, and replay it.

    Where both agreed, the layers are as after a replay, else as after the plain pass.
    """
    assert tape.forward is not None  # it was recorded
    tape.prepare()
    x, start, trail = tape.x, State(network), Trail()
    with allocate_from(Arena()), watched_by(trail):
        y = network.forward(x, keep)
    trial = Trial(network, tape, y, start, State(network), digest(x) != tape.recorded_x)
    start.restore()
    tape.run(tape.forward)
    if not same_bits(y, tape.y) or State(network).numbers() != trial.plain.numbers():
        start.restore()
        trial.odd = tape.trails[0].first_difference(trail) or ""
        trial.plain.restore()
    elif not keep:
        tape.proven.add(trial.other)
    return trial
