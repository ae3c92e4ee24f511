import errno
import os
import stat
import subprocess
import sys

import pytest

from scratchnet.utils.errors import UserError
from scratchnet.utils.files import atomic_write, check_writable
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
