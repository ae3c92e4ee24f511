"""The most recent captures of a network."""

from collections import OrderedDict
from typing import Any

from scratchnet.engine.capture.capture import Capture

MAX_CAPTURES = 4
"""Number of captures that are kept: full and last batches, in training and in evaluation."""


class CaptureCache:
    """Captures by their key, the most recently used last; only the last :data:`MAX_CAPTURES` hold memory.

    A key whose value is None has been seen, but is not captured.
    """

    def __init__(self) -> None:
        self._captures: OrderedDict[Any, Capture | None] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of keys."""
        return len(self._captures)

    def __contains__(self, key: Any) -> bool:
        """Return whether the key has been seen."""
        return key in self._captures

    def values(self) -> list[Capture | None]:
        """Return the captures, and None for each key without one, the most recently used last."""
        return list(self._captures.values())

    def get(self, key: Any) -> Capture | None:
        """Return the capture for a key that has been seen, and mark it as the most recently used."""
        self._captures.move_to_end(key)
        return self._captures[key]

    def put(self, key: Any, capture: Capture | None) -> None:
        """Store a capture, and drop the least recently used ones."""
        self._captures.pop(key, None)
        self._captures[key] = capture
        for old in list(self._captures)[: -2 * MAX_CAPTURES]:
            del self._captures[old]
        for old in [k for k, c in self._captures.items() if c is not None][:-MAX_CAPTURES]:
            self._captures[old] = None

    def clear(self) -> None:
        """Drop all captures."""
        self._captures.clear()
