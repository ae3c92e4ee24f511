"""`scratchnet train` on a pseudo-terminal."""

import os
import re
import subprocess
import sys

import pytest

from tests.cli.conftest import SMALL, without
from tests.processes import environment

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")


def on_a_terminal(command, folder):
    """Run a command on a terminal of 100 columns; return (exit code, everything that it printed)."""
    import fcntl
    import struct
    import termios

    terminal, end = os.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    variables = {key: value for key, value in environment(TERM="xterm").items() if key not in NOTEBOOK}
    process = subprocess.Popen(command, cwd=folder, env=variables, stdin=end, stdout=end, stderr=end)
    os.close(end)
    said = b""
    try:
        while part := os.read(terminal, 4096):
            said += part
    except OSError:  # Linux reports the end as an error
        pass
    os.close(terminal)
    return process.wait(timeout=60), said.decode()


NOTEBOOK = {"PAGER", "GIT_PAGER", "CLICOLOR", "JPY_PARENT_PID"}


def test_a_bar_over_all_epochs_and_one_line_at_its_end(images, tmp_path):
    small = without(SMALL, ["--epochs"])
    words = ["train", "--data", str(images), "--out", "shown", *small, "--epochs", "2", "--no-tensorboard"]
    code, said = on_a_terminal([sys.executable, "-m", "scratchnet", *words], tmp_path)
    assert code == 0
    assert re.search(r"epoch 1 of 2: +[0-9]+%\|.*left", said)
    assert "epoch 2: " in said
    shown = [line.split("\r")[-1].strip() for line in re.sub("\x1b\\[[A-Z]", "", said).split("\r\n")]
    lines = [line for line in shown if line]
    place = next(k for k, line in enumerate(lines) if re.fullmatch("trained 2 epochs in [0-9:]+", line))
    assert lines[place + 1].startswith("best epoch")
