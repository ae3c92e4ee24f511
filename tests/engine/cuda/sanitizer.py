"""Python in a process of its own, under the address sanitizer."""

import subprocess
import sys
from functools import cache
from pathlib import Path

from tests.engine.cuda import shim
from tests.processes import environment

ROOT = Path(__file__).parents[3]


@cache
def library():
    """Return the sanitizer's library, None where there is none."""
    if not shim.has_compiler():
        return None
    found = subprocess.run(["g++", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    path = Path(found.stdout.strip())
    return path if path.is_file() else None


def start(*arguments):
    """Start Python with the library preloaded."""
    settings = {
        "LD_PRELOAD": str(library()),
        "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=0",  # Python keeps much until it ends
        "SCRATCHNET_SANITIZED": "1",
        "SCRATCHNET_THREADS": "1",
    }
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment(**settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def start_tests():
    """Start those cases of the kernels' tests that are marked for it."""
    chosen = "-m", "sanitized", "-k", "ascending and not float64"
    return start("-m", "pytest", "-q", "-x", *chosen, "-p", "no:cacheprovider", "tests/engine/cuda")
