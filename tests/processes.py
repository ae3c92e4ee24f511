"""Who is alive: child processes of the tests, on Linux."""

import os
from pathlib import Path


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
