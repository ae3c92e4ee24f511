import contextlib
import errno
import os
import signal
import stat
import subprocess
import sys
import tracemalloc

import pytest
from PIL import Image

from scratchnet.data.masks import read_mask
from scratchnet.utils.errors import UserError
from scratchnet.utils.files import BoundedFile, alone_in, atomic_write, check_writable
from tests.processes import environment


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_a_file_appears_complete_and_alone(tmp_path):
    path = tmp_path / "new" / "folder" / "a.bin"
    with atomic_write(path) as file:
        file.write(b"half")
        assert not path.exists()
        file.write(b" and half")
    assert path.read_bytes() == b"half and half"
    assert names(path.parent) == ["a.bin"]


@pytest.mark.parametrize(
    "name", ["n" * 251 + ".bin", "ü" * 125 + ".bin", "網" * 83 + ".bin", "😀" * 62 + ".bin", "[%s]{}*.bin"]
)
def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path, name):
    for content in (b"one", b"two"):
        with atomic_write(tmp_path / name) as file:
            file.write(content)
    assert (tmp_path / name).read_bytes() == b"two"
    assert len(names(tmp_path)) == 1


def test_a_text_path_will_do(tmp_path):
    with atomic_write(str(tmp_path / "a")) as file:
        file.write(b"x")
    assert (tmp_path / "a").read_bytes() == b"x"


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, RuntimeError, UserError])
def test_an_interrupted_write_leaves_the_old_file_and_no_litter(tmp_path, interruption):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def write():
        with atomic_write(path) as file:
            file.write(b"new")
            raise interruption

    with pytest.raises(interruption):
        write()
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_is_a_user_error_and_keeps_the_old_file(tmp_path, monkeypatch, call):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(*((os, "fsync", full) if call == "fsync" else ("pathlib.Path.replace", full)))
    text = r"a\.bin: could not be written \(No space left on device\); free some space"
    with pytest.raises(UserError, match=text), atomic_write(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_a_folder_that_is_a_file_is_a_user_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    text = r"a\.bin: cannot be written .*; choose another output folder"
    with pytest.raises(UserError, match=text), atomic_write(tmp_path / "file" / "a.bin"):
        pytest.fail("the body must not run")


def test_permissions_follow_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        with atomic_write(tmp_path / "a") as file:
            file.write(b"x")
        assert os.umask(0o027) == 0o027  # reading the mask did not change it
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


def test_the_bytes_reach_the_disk_before_the_rename(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (calls.append("fsync"), fsync(handle))[1])
    monkeypatch.setattr(
        "pathlib.Path.replace", lambda self, target: (calls.append("replace"), replace(self, target))[1]
    )
    with atomic_write(tmp_path / "a") as file:
        file.write(b"x")
    assert calls == ["fsync", "replace", "fsync"]  # the file, its name, the folder


def test_a_place_that_cannot_be_written_shows_before_the_work(tmp_path):
    check_writable(tmp_path / "new" / "a.bin")
    assert names(tmp_path / "new") == []
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match=r"file/a\.bin: cannot be written"):
        check_writable(tmp_path / "file" / "a.bin")


def test_a_folder_is_not_replaced(tmp_path):
    (tmp_path / "page.html").mkdir()
    with pytest.raises(UserError, match=r"page\.html: is a folder"), atomic_write(tmp_path / "page.html"):
        pass
    assert names(tmp_path) == ["page.html"]


def test_a_folder_belongs_to_one_process_at_a_time(tmp_path):
    """Also after the other one has forked and was killed: nothing stays locked."""
    code = (
        "import os, sys, time; from pathlib import Path; from scratchnet.utils.files import alone_in\n"
        "with alone_in(Path(sys.argv[1])):\n"
        "    child = os.fork()\n"
        "    print(child, flush=True) if child else None\n"
        "    time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    other = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)
    child = int(other.stdout.readline())
    try:
        with pytest.raises(UserError, match="another process writes into this folder now"), alone_in(tmp_path):
            pass
        other.kill()
        other.wait()
        with alone_in(tmp_path):
            assert (tmp_path / ".lock").exists()
        assert list(tmp_path.iterdir()) == []
    finally:
        os.kill(child, signal.SIGKILL)
        other.stdout.close()


def test_a_folder_that_was_made_for_nothing_is_removed(tmp_path):
    with alone_in(tmp_path / "a" / "run"):
        pass
    assert names(tmp_path) == []
    with alone_in(tmp_path / "a" / "run"):
        (tmp_path / "a" / "run" / "file").touch()
    assert names(tmp_path / "a" / "run") == ["file"]


def test_a_lock_on_a_file_that_was_removed_meanwhile_holds_nobody_off(tmp_path, monkeypatch):
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
    with alone_in(tmp_path):
        assert len(taken) == 2
        assert (tmp_path / ".lock").exists()


def test_what_a_killed_process_has_left_is_removed(tmp_path):
    code = (
        "import os, sys; from scratchnet.utils.files import atomic_write\n"
        "with atomic_write(sys.argv[1]) as file:\n"
        "    file.write(b'half')\n"
        "    os.kill(os.getpid(), 9)"
    )
    path = tmp_path / "a[1]*.bin"
    for _ in range(2):
        subprocess.run([sys.executable, "-c", code, str(path)], env=environment(), check=False, timeout=60)
    assert len(names(tmp_path)) == 1  # the second has removed what the first had left
    other = tmp_path / ".a.bin.part"
    other.touch()
    with atomic_write(path) as mine, atomic_write(path) as second:  # one that still runs keeps its own
        mine.write(b"1")
        second.write(b"2")
    assert names(tmp_path) == [".a.bin.part", "a[1]*.bin"]
    assert path.read_bytes() == b"1"


def test_a_reader_takes_no_more_memory_than_the_file_has_bytes(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"0123456789")
    with BoundedFile(path) as file:
        tracemalloc.start()
        try:
            assert file.read(3) == b"012"
            assert file.read(1 << 40) == b"3456789"
            assert file.read(1 << 40) == b""
            file.seek(8)
            assert file.read() == b"89"
            assert tracemalloc.get_traced_memory()[1] < 1 << 20
        finally:
            tracemalloc.stop()


def test_an_image_whose_chunk_promises_gigabytes(tmp_path):
    """Pillow asks for as many bytes as a chunk says."""
    path = tmp_path / "a.png"
    Image.new("L", (8, 8)).save(path)
    data = bytearray(path.read_bytes())
    place = data.index(b"IDAT")
    data[place - 4 : place] = b"\x70\x00\x00\x00"
    path.write_bytes(data)
    tracemalloc.start()
    try:
        with contextlib.suppress(UserError):
            read_mask(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()
