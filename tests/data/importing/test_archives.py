import zipfile

import pytest

from scratchnet.data.importing import read_export, unpacked, write_export
from scratchnet.data.importing.archives import shown
from scratchnet.utils.errors import UserError
from tests.data.importing.test_formats import L_SHAPE, labelme, save_image, save_json, shape
from tests.tiny import files


@pytest.fixture
def source(tmp_path):
    save_image(tmp_path / "source" / "job" / "a.png")
    save_json(tmp_path / "source" / "job" / "a.json", labelme("a.png", shape("dog", L_SHAPE)))
    return tmp_path / "source"


def pack(folder, archive, extra=()):
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(folder.rglob("*")):
            file.write(path, path.relative_to(folder))
        for name, content in extra:
            file.writestr(name, content)
    return archive


def test_an_archive_is_read_like_its_folder(source, tmp_path):
    archive = pack(source, tmp_path / "job.zip", [("__MACOSX/job/._a.png", b"x")])
    write_export(read_export(source / "job"), tmp_path / "one")
    with unpacked(archive) as folder:
        assert folder.name == "job"
        write_export(read_export(folder), tmp_path / "two")
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert not folder.exists()


def test_paths_that_lead_outside_stay_inside(source, tmp_path):
    archive = pack(source, tmp_path / "job.zip", [("../../evil.txt", b"x")])
    before = files(tmp_path)
    with unpacked(archive) as folder:
        assert not (folder.parent.parent.parent / "evil.txt").exists()
    assert files(tmp_path) == before


def test_messages_name_the_archive(tmp_path):
    save_json(tmp_path / "source" / "a.json", {"a": 1})
    archive = pack(tmp_path / "source", tmp_path / "job.zip")
    with (
        pytest.raises(UserError, match=r"job\.zip: its JSON files are of no known format"),
        unpacked(archive) as folder,
    ):
        read_export(folder)
    assert shown("x /t/job/a.png y", "job.zip", "/t/job") == "x job.zip/a.png y"


@pytest.mark.parametrize(
    ("content", "words"), [(b"PK", "cannot be unpacked"), (b"", "cannot be unpacked"), (None, "an empty archive")]
)
def test_archives_that_are_refused(tmp_path, content, words):
    archive = tmp_path / "a.zip"
    if content is None:
        zipfile.ZipFile(archive, "w").close()
    else:
        archive.write_bytes(content)
    with pytest.raises(UserError, match=words), unpacked(archive) as folder:
        read_export(folder)


def test_a_damaged_and_an_encrypted_file(source, tmp_path):
    archive = pack(source, tmp_path / "job.zip")
    content = bytearray(archive.read_bytes())
    content[60] ^= 255
    archive.write_bytes(content)
    with pytest.raises(UserError, match="cannot be unpacked"), unpacked(archive):
        pass
    content = bytearray(pack(source, archive).read_bytes())
    for start, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the headers of the files, and the list of files
        for place in [i for i in range(len(content)) if content[i : i + 4] == start]:
            content[place + flags] |= 1  # encrypted
    archive.write_bytes(content)
    with pytest.raises(UserError, match="encrypted"), unpacked(archive):
        pass


def test_an_archive_larger_than_the_disk(source, tmp_path, monkeypatch):
    monkeypatch.setattr("scratchnet.data.importing.archives.DISK_RESERVE", 1 << 70)
    with (
        pytest.raises(UserError, match="MB left; unpack it on another disk"),
        unpacked(pack(source, tmp_path / "a.zip")),
    ):
        pass
