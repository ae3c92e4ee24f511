"""The switch that keeps freed memory."""

import subprocess
import sys

import pytest

from scratchnet.engine.memory.system import available_memory
from tests.processes import environment

SCRIPT = """
import resource, numpy as np
from scratchnet.engine.memory.system import keep_freed_memory
KEEP
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(3):
        held = [np.ones(1_000_000, np.float32) for _ in range(12)]
        del held
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such switch")
def test_freed_arrays_are_used_again_instead_of_fresh_pages():
    def faults(keep):
        script = SCRIPT.replace("KEEP", "keep_freed_memory()" if keep else "")
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert faults(keep=True) < 200 < faults(keep=False)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not say")
def test_available_memory_is_in_bytes():
    assert 1 << 24 < available_memory() < 1 << 44
