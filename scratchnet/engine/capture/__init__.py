"""Capture a computation once and replay it many times.

Every training step makes the same NumPy calls in the same order, on memory of the same sizes; only the values differ.
:class:`Recorder` therefore runs a piece of code once on arrays that record every call made on them, and a
:class:`Program` repeats these calls on the same memory, without the Python code in between. (CUDA graphs do this on a
GPU.)

This matters because Python threads share the interpreter lock, and acquiring it too often costs more than the work:
with 1 µs of Python between calls of 10 µs, two threads are no faster than one. A captured program runs almost no Python
between its calls. Its calls may therefore be short and work on small blocks, which stay in a core's cache.

Recorded are ufuncs (with their operators, in-place forms and reductions), assignments, NumPy functions and copies.
Code that reads a value (``float``, ``bool``, ``if x > 0``) cannot be captured, because every replay would use the value
that was read during capture. It raises :class:`CannotCapture`.
"""

from scratchnet.engine.capture.active_recorder import active_recorder
from scratchnet.engine.capture.program import Call, CannotCapture, Program, Stage, failure_reason
from scratchnet.engine.capture.recorder import Recorder
from scratchnet.engine.capture.traced_array import TracedArray, record_call, traced

__all__ = [
    "Call",
    "CannotCapture",
    "Program",
    "Recorder",
    "Stage",
    "TracedArray",
    "active_recorder",
    "failure_reason",
    "record_call",
    "traced",
]
