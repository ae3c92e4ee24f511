"""A lesson that is ended says so in one line."""

import signal
import subprocess
import sys

import pytest

from tests.processes import environment

SCRIPT = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background ignores it, and so would this
from scratchnet.utils.lesson import start_lesson
print(start_lesson(), flush=True)
{}
"""


def ended(tmp_path, last, *words, stop=False):
    """Run a script whose last line is ``last``; return how it ended and what it printed."""
    path = tmp_path / "script.py"
    path.write_text(SCRIPT.format(last))
    pipes = {"env": environment(), "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, str(path), *words], **pipes) as process:
        first = process.stdout.readline()
        if stop:
            process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=20)[1]
    return process.returncode, first.strip(), said.strip()


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_ctrl_c_is_one_line(tmp_path):
    assert ended(tmp_path, "time.sleep(20)", stop=True) == (-signal.SIGINT, "False", "interrupted")


def test_missing_data_are_one_line(tmp_path):
    last = "from scratchnet.utils.errors import UserError; raise UserError('no such folder')"
    assert ended(tmp_path, last, "--fast") == (1, "True", "no such folder")


def test_a_bug_is_shown_as_always(tmp_path):
    assert "Traceback" in ended(tmp_path, "1 / 0")[2]
