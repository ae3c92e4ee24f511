"""Capture a network's passes once and replay them, for training and inference without Python overhead.

    fast = scratchnet.compile(net)
    y = fast.forward(x)         # the first call with a shape runs eagerly, the second is captured, later ones replay it
    fast.backward(dy)

The results are bitwise equal to those of the network itself. A capture is valid for one input shape, one mode and one
set of layer settings; a new combination runs eagerly the first time and is captured the second time. The memory of a
capture stays reserved, so only the last few captures are kept. Use a captured network from one thread at a time.
"""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from scratchnet.arrays import Array, get_array_module
from scratchnet.engine.capture import Program, failure_reason, traced
from scratchnet.engine.capture.capture import Capture
from scratchnet.engine.capture.capture_cache import CaptureCache
from scratchnet.engine.capture.capture_key import NotComparable, changed_settings, digest, settings_of
from scratchnet.engine.capture.detached import detached
from scratchnet.engine.capture.first_replay import CONSTANT_VALUES, FirstReplay, compare_forward
from scratchnet.engine.capture.network_state import NetworkState, has_flat_gradients
from scratchnet.engine.capture.step_outputs import StepOutputs
from scratchnet.engine.capture.traced_memory import traced_memory
from scratchnet.engine.cpu.threads import thread_count
from scratchnet.engine.memory.arena import Arena
from scratchnet.engine.memory.pool import allocate_from, default_pool
from scratchnet.engine.memory.shared import shared_copy
from scratchnet.engine.memory_layout import contiguous_copy
from scratchnet.engine.modes import is_precise, is_textbook
from scratchnet.layers.builtin import is_builtin, is_patched
from scratchnet.layers.synchronized import SyncBatchNorm2d
from scratchnet.network import Network
from scratchnet.network.fingerprints import Fingerprint, check_parameters, holds
from scratchnet.network.watching import watched_by


class CapturedNetwork:
    """A network whose passes are captured and replayed.

    Parameters
    ----------
    network : Network
        If it contains a custom layer whose class does not set ``capturable``, the whole network always runs eagerly.
        Otherwise the first replay of a network with custom layers on a new input is compared with an eager pass, which
        takes the time and, until the end of the backward pass, the memory of one more eager pass. If they differ, a
        warning names the layer, and the network runs eagerly from then on.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self._captures = CaptureCache()
        self._current: Capture | None = None
        """The capture whose backward pass comes next."""
        self._arena = Arena()
        """Memory of eager calls. It is no larger than that of a capture, and is freed when one begins."""
        self._pid = os.getpid()
        self._has_custom_layers = self._disabled = self._settings_changed = False
        self._first_replay: FirstReplay | None = None
        self._parameters: Fingerprint | None = None
        """Fingerprint of the parameters in a forward pass, to be compared before its backward pass is replayed."""

    def forward(self, x: Array, keep: bool | None = None) -> Array:
        """Return the result of :meth:`Network.forward`."""
        keep = self.network.training if keep is None else keep
        self._current = self._first_replay = self._parameters = None
        if self._pid != os.getpid():  # a fork of the process that captured would write to that process's memory
            self.clear()
            self._pid = os.getpid()
        key = self._key(x, keep) if self._can_capture(x) else None
        if key is None:
            return self.network.forward(x, keep)
        if key not in self._captures:
            return self._first_forward(x, key, keep)
        capture = self._captures.get(key)
        if keep:
            self._parameters = Fingerprint(self.network.flat().values, self.network.flat().offsets)
        if capture is None and not has_flat_gradients(self.network):
            return self.network.forward(x, keep)
        if capture is None:
            capture = Capture(shared_copy(x))
            self._captures.put(key, capture)
        np.copyto(capture.x, x)
        # Another pass may have replaced what layers saved for the first backward pass, so capture both in sequence.
        if capture.forward is None or (keep and capture.backward is None):
            return self._capture_forward(capture, key, keep)
        if self._has_custom_layers and not capture.is_verified(x):
            return self._compare_forward(capture, keep)
        capture.run(capture.forward)
        self._current = capture if keep else None
        assert capture.y is not None  # set with the program
        return _copy(capture.y)

    def backward(self, dy: Array, needs_input_grad: bool = False, add: bool = True) -> Array | None:
        """Return the result of :meth:`Network.backward`; gradients are added or replaced as there.

        Raises
        ------
        ValueError
            If dx is requested for a shape that was captured without it.
        """
        capture = self._current
        if capture is None:
            with allocate_from(self._arena) if self._can_capture(dy) else nullcontext():
                dx = self.network.backward(dy, needs_input_grad, add)
            return None if dx is None else _copy(dx) if isinstance(dx, np.ndarray) else dx
        if capture.backward is not None:
            capture.check_gradient(dy, needs_input_grad)
        if self._parameters is not None:
            check_parameters(self._parameters)
        grads = self.network.flat().grads
        previous = grads.copy() if add else None  # a captured pass replaces the gradients
        if capture.backward is None:
            dx = self._capture_backward(capture, dy, needs_input_grad)
        else:
            assert capture.dy is not None  # set with the program
            np.copyto(capture.dy, dy)
            if self._first_replay is not None:
                dx = self._compare_backward(self._first_replay, needs_input_grad)
            else:
                capture.run(capture.backward)
                dx = capture.dx
        if previous is not None:
            for part in self.network.flat().trainable_slices():  # gradients of frozen parameters were not replaced
                grads[part] += previous[part]
        self._current = self._first_replay = None  # what the layers saved has been used
        return None if dx is None or not needs_input_grad else _copy(dx)

    def clear(self) -> None:
        """Drop all captures and their memory."""
        self._captures.clear()
        self._current = self._first_replay = None
        self._arena = Arena()

    # Capture ------------------------------------------------------------------------------------------------------

    def _first_forward(self, x: Array, key: Any, keep: bool) -> Array:
        """Run eagerly the first time that a key is seen."""
        self._captures.put(key, None)
        with allocate_from(self._arena):
            y = self.network.forward(x, keep)
        if self._has_custom_layers:
            changed = self._settings() != key[-1]
            if changed and self._settings_changed:  # a single change may have been an initialisation
                self._check_settings(key[-1])
            self._settings_changed = changed
        return _copy(y)

    def _capture_forward(self, capture: Capture, key: Any, keep: bool) -> Array:
        """Run the network while a recorder records its calls."""
        program = Program()
        self._arena = Arena()  # a capture has its own memory
        default_pool().free_idle()
        capture.initial_state = NetworkState(self.network) if self._has_custom_layers else None
        capture.outputs = [StepOutputs(program)]
        try:
            with capture.recorder.capture(program), self._watched(capture.outputs[0]), traced_memory(self.network):
                capture.y = self.network.forward(traced(capture.x), keep)
        except Exception as error:  # traced arrays may make a custom layer fail
            if capture.initial_state is None:
                raise
            capture.initial_state.restore()
            y = self.network.forward(capture.x, keep)  # raises if the capture is not the reason
            self._disable(*failure_reason(error))
            return y
        capture.forward, capture.verified = program, set()
        capture.x_digest = digest(capture.x) if self._has_custom_layers else b""
        if not self._has_custom_layers or self._check_settings(key[-1]):
            self._current = capture if keep else None
        return _copy(capture.y)

    def _capture_backward(self, capture: Capture, dy: Array, needs_input_grad: bool) -> Array | None:
        """Run the network backward while a recorder records its calls."""
        own_dy = self._copy_of_gradient(capture, dy)
        capture.dy, capture.needs_input_grad = detached(own_dy), needs_input_grad
        program, initial_state = Program(), capture.initial_state
        capture.outputs.append(StepOutputs(program))
        try:
            with capture.recorder.capture(program), self._watched(capture.outputs[1]), traced_memory(self.network):
                capture.dx = self.network.backward(traced(own_dy), needs_input_grad, add=False)
        except Exception as error:
            if initial_state is None:
                raise
            state = NetworkState(self.network)
            initial_state.restore()
            self.network.forward(capture.x, keep=True)  # part of what the layers saved has been used
            state.restore_contents()
            dx = self.network.backward(dy, needs_input_grad, add=False)
            self._disable(*failure_reason(error))
            return dx
        capture.backward, capture.initial_state = program, None
        capture.dy_digest = digest(dy) if self._has_custom_layers else b""
        return capture.dx

    def _copy_of_gradient(self, capture: Capture, dy: Array) -> Array:
        """Copy dy into the capture's memory: over y, unless a layer may have saved that."""
        y, capture.y = capture.y, detached(capture.y)
        assert y is not None  # set with the program
        hidden = self._has_custom_layers or self.network.activation_checkpointing  # may be saved elsewhere
        saved = hidden or any(holds(vars(step.layer), y) for step in self.network.steps)
        if saved or (y.shape, y.dtype) != (dy.shape, dy.dtype):
            with allocate_from(capture.recorder.arena):
                return contiguous_copy(dy)
        np.copyto(y.view(np.ndarray), dy)
        return y

    def _compare_forward(self, capture: Capture, keep: bool) -> Array:
        """Compare a replayed forward pass with an eager one; run eagerly from then on if they differ."""
        replay = compare_forward(self.network, capture, keep)
        if replay.mismatch is not None:
            self._disable(replay.mismatch, CONSTANT_VALUES)
        elif keep:
            self._first_replay, self._current = replay, capture
        return _copy(replay.y)

    def _compare_backward(self, replay: FirstReplay, needs_input_grad: bool) -> Array | None:
        """Compare a replayed backward pass with an eager one; run eagerly from then on if they differ."""
        dx = replay.backward(needs_input_grad)
        if replay.mismatch is not None:
            self._disable(replay.mismatch, CONSTANT_VALUES)
        return dx

    @contextmanager
    def _watched(self, outputs: StepOutputs) -> Iterator[None]:
        with watched_by(outputs) if self._has_custom_layers else nullcontext():
            yield

    def _check_settings(self, before: Any) -> bool:
        """Return whether all settings are unchanged; if a layer changed its own settings, run eagerly from now on."""
        after = self._settings()
        for step, old, new in zip(self.network.steps, before, after or (), strict=False):
            if old != new:
                names = ", ".join(repr(name) for name in changed_settings(old[1], new[1]))
                reason = f"its forward pass changes {f'attribute {names}' if names else 'its memory'}"
                self._disable(step.name, reason)
        return not self._disabled

    def _disable(self, name: str, reason: str) -> None:
        """Run eagerly from now on, and warn why."""
        custom = [s for s in self.network.steps if (s.name == name if name else not is_builtin(s.layer))]
        names = " or ".join(f"step '{s.name}' ({type(s.layer).__name__})" for s in custom)
        self._disabled = True
        self.clear()
        warnings.warn(
            f"captured network: {names} cannot be captured: {reason}. The network runs without capture from now on; "
            "docs/contributing.md lists the requirements of capturable layers",
            RuntimeWarning,
            stacklevel=4,
        )

    # Keys ---------------------------------------------------------------------------------------------------------

    def _can_capture(self, x: Array) -> bool:
        """Return whether every layer may be captured: built-in layers, and custom ones whose own class says so."""
        if self._disabled or get_array_module(x) is not np or is_textbook() or x.size == 0:
            return False
        custom = [step.layer for step in self.network.steps if not is_builtin(step.layer)]
        self._has_custom_layers = bool(custom)
        if custom and any(isinstance(norm, SyncBatchNorm2d) for norm in self.network.batch_norms().values()):
            return False  # the processes might compare their first replays in different calls
        return all("capturable" in vars(type(a)) and a.capturable and not is_patched(a) for a in custom)

    def _key(self, x: Array, keep: bool) -> Any:
        """Return everything that a capture depends on besides values; None if it cannot be compared."""
        network = self.network
        settings = self._settings()
        memory = (
            network.flat().values.__array_interface__["data"][0],
            network.flat().grads.__array_interface__["data"][0],
        )
        modes = keep, network.training, network.activation_checkpointing, is_precise(), thread_count()
        return None if settings is None else (x.shape, x.dtype.str, *modes, memory, settings)

    def _settings(self) -> tuple[Any, ...] | None:
        """Return the settings of all steps; if they cannot be compared, disable capture and return None."""
        settings: list[Any] = []
        for step in self.network.steps:
            try:
                settings.append((step.inputs, settings_of(step.layer)))
            except NotComparable as error:
                self._disable(step.name, str(error))
                return None
        return tuple(settings)


def _copy(array: Array) -> Array:
    """Return a copy of an array of the capture, which the next replay overwrites."""
    return contiguous_copy(array.view(np.ndarray))
