import os
import signal
import subprocess
import sys

import pytest

from scratchnet.utils.errors import UserError
from scratchnet.utils.folder_lock import lock_folder
from tests.processes import environment


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_a_folder_belongs_to_one_process_at_a_time(tmp_path):
    """Also after the other one has forked and was killed: nothing stays locked."""
    code = (
        "import os, sys, time; from pathlib import Path; from scratchnet.utils.folder_lock import lock_folder\n"
        "with lock_folder(Path(sys.argv[1])):\n"
        "    child = os.fork()\n"
        "    print(child, flush=True) if child else None\n"
        "    time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    other = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)
    child = int(other.stdout.readline())
    try:
        with pytest.raises(UserError, match="another process is writing to this folder"), lock_folder(tmp_path):
            pass
        other.kill()
        other.wait()
        with lock_folder(tmp_path):
            assert (tmp_path / ".lock").exists()
        assert list(tmp_path.iterdir()) == []
    finally:
        os.kill(child, signal.SIGKILL)
        other.stdout.close()


def test_an_unused_folder_is_removed(tmp_path):
    with lock_folder(tmp_path / "a" / "run"):
        pass
    assert names(tmp_path) == []
    with lock_folder(tmp_path / "a" / "run"):
        (tmp_path / "a" / "run" / "file").touch()
    assert names(tmp_path / "a" / "run") == ["file"]


def test_a_lock_on_a_removed_file_is_taken_again(tmp_path, monkeypatch):
    """The process before removes the lock's file while the next one has it open; a third would make a new one."""
    import fcntl

    taken = []
    lock = fcntl.lockf

    def late(file, how):
        taken.append(file.name)
        if len(taken) == 1:
            (tmp_path / ".lock").unlink()
        return lock(file, how)

    monkeypatch.setattr(fcntl, "lockf", late)
    with lock_folder(tmp_path):
        assert len(taken) == 2
        assert (tmp_path / ".lock").exists()
