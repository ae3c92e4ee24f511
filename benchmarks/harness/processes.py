"""What this process and those that it has started use: processor time and memory, as Linux tells them in /proc.

scratchnet may share its work with forked processes, PyTorch with threads; to be fair, both are looked at as a whole.
"""

import os
import time
from pathlib import Path


def family(pid: int | None = None) -> list[int]:
    """Return a process (None: this one) and all that it started, directly or not, and that still live."""
    pid = os.getpid() if pid is None else pid
    found = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in _read(children).split():
            found += family(int(child))
    return found


def processor_seconds() -> float:
    """Return the processor time of this process and of all that it started, ended ones included."""
    ended = os.times()
    total = time.process_time() + ended.children_user + ended.children_system
    for pid in family()[1:]:
        # proc(5): the fields behind the name in brackets; 11 to 14 are its own and its ended children's time.
        fields = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
        total += sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return total


def memory_bytes() -> int:
    """Return the memory of this process and of all that it started.

    Counted are pages that programs have written to, their own and those that they share (once); not the code of
    libraries.
    """
    return sum(
        1024 * kilobytes
        for pid in family()
        for name, kilobytes in _table(Path(f"/proc/{pid}/smaps_rollup")).items()
        if name in ("Pss_Anon", "Pss_Shmem")
    )


def forget_highest() -> None:
    """Let :func:`highest_above_now` count from now on."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def highest_above_now() -> int:
    """Return how many bytes more than now this process has held since :func:`forget_highest`."""
    status = _table(Path("/proc/self/status"))
    return 1024 * (status["VmHWM"] - status["VmRSS"])


def can_measure_memory() -> bool:
    """Return whether the system tells all this."""
    return os.access("/proc/self/clear_refs", os.W_OK) and "Pss_Anon" in _table(Path("/proc/self/smaps_rollup"))


def _table(path: Path) -> dict[str, int]:
    """Read lines of the form "name: number kB"."""
    lines = (line.split() for line in _read(path).splitlines())
    return {words[0].rstrip(":"): int(words[1]) for words in lines if len(words) == 3 and words[2] == "kB"}


def _read(path: Path) -> str:
    """Return a file of /proc; nothing where the process has ended meanwhile or the system has no such file."""
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return ""
