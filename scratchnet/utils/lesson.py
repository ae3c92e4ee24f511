"""Setup shared by all lessons."""

import os
import sys
from types import TracebackType

from scratchnet.utils.errors import UserError
from scratchnet.utils.terminal import last_from_now_on


def start_lesson() -> bool:
    """Prepare the terminal and return whether the lesson is to be fast: smaller data and seconds of run time.

    A script is fast with ``--fast``. In a notebook, which has no arguments, and for the pages of the documentation, the
    environment variable ``SCRATCHNET_LESSONS=fast`` does the same.

    Characters that the terminal cannot encode are printed as plainer ones, and Ctrl-C or missing data end the lesson
    with one line instead of a traceback. In a notebook nothing changes.
    """
    last_from_now_on()
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _end
    return "--fast" in sys.argv or os.environ.get("SCRATCHNET_LESSONS") == "fast"


def _end(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Print interruptions and user errors as one line; show other exceptions as usual."""
    if issubclass(kind, KeyboardInterrupt):
        print("\ninterrupted", file=sys.stderr)
    elif issubclass(kind, UserError):
        print(error, file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)
