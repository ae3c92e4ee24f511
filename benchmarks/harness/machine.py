"""Description of the machine, the library versions and the run, which are stored with every measurement."""

import importlib.metadata
import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

from scratchnet import __version__
from scratchnet.engine.cpu.threads import thread_count


def machine() -> dict[str, Any]:
    """Return processor, cores, memory and system."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    described: dict[str, Any] = {
        "processor": _processor(),
        "cores": cores,
        "threads": thread_count(),
        "system": platform.platform(),
    }
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        described["memory_bytes"] = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return described


def _processor() -> str:
    """Return the processor's name as the system reports it."""
    info = Path("/proc/cpuinfo")
    for line in info.read_text(encoding="utf-8").splitlines() if info.exists() else ():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Return the versions of scratchnet, Python, NumPy, its BLAS, and the other libraries that are installed."""
    found = {"scratchnet": __version__, "python": platform.python_version(), "numpy": np.__version__}
    for library in threadpool_info():
        if library["user_api"] == "blas" and "numpy" in library["filepath"]:
            found["blas"] = " ".join(str(library[key]) for key in ("internal_api", "version", "architecture"))
    for name in ("torch", "dezero", "mygrad"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def run_info() -> dict[str, str]:
    """Return the date (UTC) and the command line."""
    words = ["scratchnet", *sys.argv[1:]]
    return {"date": datetime.now(UTC).isoformat(timespec="seconds"), "command": " ".join(words)}
