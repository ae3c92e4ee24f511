"""Processor time and memory of this process and its children, from Linux's /proc.

scratchnet may use forked processes and PyTorch uses threads, so each is measured as a whole.
"""

import os
import time
from pathlib import Path


def process_tree(pid: int | None = None) -> list[int]:
    """Return the ids of a process (None: this one) and of all its living descendants."""
    pid = os.getpid() if pid is None else pid
    found = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in _read(children).split():
            found += process_tree(int(child))
    return found


def cpu_seconds() -> float:
    """Return the processor time of this process and its descendants, including those that have ended."""
    ended = os.times()
    total = time.process_time() + ended.children_user + ended.children_system
    for pid in process_tree()[1:]:
        # proc(5): fields after the name in brackets; 11 to 14 are the time of the process and of its ended children.
        fields = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
        total += sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return total


def memory_in_use() -> int:
    """Return the memory of this process and its descendants, in bytes.

    Private and shared pages that were written to are counted (shared pages once), but not the code of libraries.
    """
    return sum(
        1024 * kilobytes
        for pid in process_tree()
        for name, kilobytes in _table(Path(f"/proc/{pid}/smaps_rollup")).items()
        if name in ("Pss_Anon", "Pss_Shmem")
    )


def reset_peak_memory() -> None:
    """Reset the peak that :func:`peak_above_current` refers to."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_above_current() -> int:
    """Return the difference in bytes between the peak since :func:`reset_peak_memory` and the current memory."""
    status = _table(Path("/proc/self/status"))
    return 1024 * (status["VmHWM"] - status["VmRSS"])


def can_measure_memory() -> bool:
    """Return whether the system reports memory and can reset its peak."""
    return os.access("/proc/self/clear_refs", os.W_OK) and "Pss_Anon" in _table(Path("/proc/self/smaps_rollup"))


def _table(path: Path) -> dict[str, int]:
    """Read lines of the form "name: number kB"."""
    lines = (line.split() for line in _read(path).splitlines())
    return {words[0].rstrip(":"): int(words[1]) for words in lines if len(words) == 3 and words[2] == "kB"}


def _read(path: Path) -> str:
    """Return a file of /proc; "" if the process has ended or the system has no such file."""
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return ""
