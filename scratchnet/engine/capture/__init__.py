"""Record a computation once, replay it many times.

Every training step makes the same NumPy calls, on memory of the same sizes, in the same order; only the numbers differ.
So :class:`Recorder` runs a piece of code once on arrays that write down each call made on them, and :class:`Program`
makes those calls again, on the same memory, without the Python in between (CUDA graphs do this on a GPU).

That matters more than it seems. Python threads take turns at the interpreter's lock, and a turn that is asked for too
often costs more than the work: with 1 µs of Python between calls of 10 µs, two threads are no quicker than one. A
recorded program has next to nothing in between, so its calls may be short, which means small blocks, which means that
they stay in a core's cache.

What is recorded: ufuncs (with their operators, in-place forms and reductions), assignments, NumPy functions, copies.
What cannot be: asking for a number (``float``, ``bool``, ``if x > 0``), because the answer would be frozen in. Then
:class:`CannotCapture` is raised.
"""

from scratchnet.engine.capture.program import Call, CannotCapture, Program, Stage, reason_of
from scratchnet.engine.capture.recorder import Recorder
from scratchnet.engine.capture.traced_array import TracedArray, record_call, traced
from scratchnet.engine.capture.writer import recorder

__all__ = [
    "Call",
    "CannotCapture",
    "Program",
    "Recorder",
    "Stage",
    "TracedArray",
    "reason_of",
    "record_call",
    "recorder",
    "traced",
]
