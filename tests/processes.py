"""Child processes of the tests: the environment that they start with, and which of them are alive (on Linux)."""

import os
import warnings
from pathlib import Path

import scratchnet

ROOT = Path(scratchnet.__file__).parents[1]


def environment(**more):
    """Return this process's environment for a child, which finds the same scratchnet and all that this one finds.

    An existing PYTHONPATH is kept behind the package's folder: it may be where NumPy lies.
    """
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path, **more}


def fork():
    """Fork; Python's warning of other threads is left out, as the child takes none of their locks."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def children():
    """Return the ids of this process's children, those that ended but were not waited for among them."""
    found = set()
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = place.read_text().rpartition(")")[2].split()
        except OSError:  # gone meanwhile
            continue
        if int(fields[1]) == os.getpid():
            found.add(int(place.parent.name))
    return found


def alive(pid):
    """Whether a process runs (one that ended and was not waited for does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
