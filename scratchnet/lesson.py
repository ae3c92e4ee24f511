"""What every lesson begins with."""

import sys
from types import TracebackType

from scratchnet.errors import UserError
from scratchnet.terminal import last_from_now_on


def start_lesson() -> bool:
    """Return whether the lesson was started with ``--fast``: it then takes seconds, on smaller data.

    Characters that the terminal does not have are printed as plainer ones. From then on Ctrl-C, or data that are not
    there, end the lesson with one line in place of a traceback. In a notebook, where nothing of this is needed, nothing
    changes.
    """
    last_from_now_on()
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _end
    return "--fast" in sys.argv


def _end(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Say in one line what the reader can know without reading the code; show the rest as always."""
    if issubclass(kind, KeyboardInterrupt):
        print("\ninterrupted", file=sys.stderr)
    elif issubclass(kind, UserError):
        print(error, file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)
