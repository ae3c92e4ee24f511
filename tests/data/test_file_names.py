"""Names, lists and class files in the spellings that people's systems give them."""

import os
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scratchnet.data import available_splits, check_dataset, open_dataset, write_image, write_mask
from scratchnet.data.class_names import read_class_list
from scratchnet.utils.errors import UserError

MakeFolder = Callable[..., Path]

ALIKE = {
    "case": ("B", "b"),
    "composed and decomposed": (unicodedata.normalize("NFC", "bär"), unicodedata.normalize("NFD", "bär")),
    "full width": ("\uff42\uff11", "b1"),
    "space at the end": ("b ", "b"),
    "space before": (" b", "b"),
    "two endings": ("b", "b.jpg"),
    "two endings in capitals": ("b.JPG", "b"),
    "sharp s": ("straße", "STRASSE"),
}


@pytest.mark.parametrize("kind", ALIKE)
@pytest.mark.parametrize("by_list", [False, True])
def test_names_that_look_the_same_are_a_pair(make_folder: MakeFolder, kind: str, by_list: bool) -> None:
    root = make_folder("ab")
    image, mask = ALIKE[kind]
    (root / "images" / "b.png").rename(root / "images" / f"{image}.png")
    (root / "masks" / "b.png").rename(root / "masks" / f"{mask}.png")
    if by_list:
        (root / "splits").mkdir()
        (root / "splits" / "train.txt").write_text(f"a\n{mask}\n", encoding="utf-8")
    dataset = open_dataset(root, split="train" if by_list else None)
    assert {sample.image.stem for sample in dataset.samples} == {"a", image}
    assert {sample.mask.stem for sample in dataset.samples} == {"a", mask}


def test_names_that_fit_several_are_not_guessed_at(make_folder: MakeFolder) -> None:
    root = make_folder("ab")
    (root / "masks" / "b.png").rename(root / "masks" / "B.png")
    write_mask(root / "masks" / "b .png", np.zeros((6, 8), np.uint8))
    with pytest.raises(UserError, match="the names 'B' and 'b ' look the same; rename one"):
        open_dataset(root)


def test_names_that_differ_in_case_are_two_where_both_have_a_partner(make_folder: MakeFolder) -> None:
    root = make_folder("abB")
    assert open_dataset(root).names == ("B", "a", "b")


CAPITALS: dict[str, Callable[[Path], object]] = {
    "images": lambda root: (root / "images").rename(root / "Images"),
    "masks": lambda root: (root / "masks").rename(root / "MASKS"),
    "objects": lambda root: (root / "objects").rename(root / "Objects"),
    "objects' endings": lambda root: [p.rename(p.with_suffix(".PNG")) for p in (root / "objects").iterdir()],
    "objects' names": lambda root: [p.rename(p.with_stem(p.stem.upper())) for p in (root / "objects").iterdir()],
    "splits": lambda root: (root / "splits").rename(root / "Splits"),
    "list": lambda root: (root / "splits" / "train.txt").rename(root / "splits" / "TRAIN.TXT"),
    "classes": lambda root: (root / "classes.txt").rename(root / "Classes.TXT"),
    "boxes": lambda root: (root / "boxes.csv").rename(root / "BOXES.CSV"),
}


@pytest.fixture
def full(make_folder: MakeFolder) -> Path:
    """A set with everything that a set may have."""
    root = make_folder("abc")
    for name in "abc":
        write_mask(root / "objects" / f"{name}.png", np.ones((6, 8), np.uint8))
    (root / "splits").mkdir()
    (root / "splits" / "train.txt").write_text("a\nb\n")
    (root / "boxes.csv").write_text("image,class,x0,y0,x1,y1\na,cell,0,0,8,6\n")
    return root


@pytest.mark.parametrize("kind", CAPITALS)
def test_capitals_make_no_difference(full: Path, kind: str) -> None:
    CAPITALS[kind](full)
    dataset = open_dataset(full, split="train")
    assert dataset.names == ("a", "b")
    assert dataset.classes == ("background", "cell")
    assert dataset.load_instances(0) is not None
    assert available_splits(full) == ["train"]
    report = check_dataset(full)
    assert report.ok, report.text()
    assert any("1 boxes" in line for line in report.object_lines)


def remove_folder(path: Path) -> None:
    for file in path.iterdir():
        file.unlink()
    path.rmdir()


UNUSABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "objects is a file": (
        lambda root: [remove_folder(root / "objects"), (root / "objects").touch()],
        "objects: expected a folder",
    ),
    "objects are no images": (
        lambda root: [path.rename(path.with_suffix(".npy")) for path in (root / "objects").iterdir()],
        r"objects: no image files in it .*it holds 3 files.*a\.npy",
    ),
    "an object file of no image": (
        lambda root: (root / "objects" / "a.png").rename(root / "objects" / "z.png"),
        r"z\.png: an instance mask without an image",
    ),
    "splits is a file": (
        lambda root: [remove_folder(root / "splits"), (root / "splits").touch()],
        "splits: expected a folder",
    ),
    "splits are no lists": (
        lambda root: (root / "splits" / "train.txt").rename(root / "splits" / "train.csv"),
        r"splits: holds train\.csv but no list NAME\.txt",
    ),
    "boxes.csv is a folder": (
        lambda root: [(root / "boxes.csv").unlink(), (root / "boxes.csv").mkdir()],
        "is a folder",
    ),
    "classes.txt is a folder": (
        lambda root: [(root / "classes.txt").unlink(), (root / "classes.txt").mkdir()],
        r"classes\.txt: is a folder",
    ),
    "list is a folder": (
        lambda root: [(root / "splits" / "train.txt").unlink(), (root / "splits" / "train.txt").mkdir()],
        r"train\.txt: is a folder",
    ),
    "list is a pipe": (
        lambda root: [(root / "splits" / "train.txt").unlink(), os.mkfifo(root / "splits" / "train.txt")],
        r"train\.txt: is a named pipe",
    ),
    "two lists": (
        lambda root: (
            [(root / "splits" / f"{name}.txt").write_text("a\n") for name in ("Train", "TRAIN")]
            + [(root / "splits" / "train.txt").unlink()]
        ),
        r"both mean train\.txt",
    ),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_an_optional_input_that_cannot_be_used_is_named(full: Path, kind: str) -> None:
    change, words = UNUSABLE[kind]
    change(full)
    report = check_dataset(full)
    assert any(re.search(words, problem) for problem in report.problems), report.text()


SYSTEM = ("._a.png", ".DS_Store", "Thumbs.db", "desktop.ini", "._train.txt")


def test_files_of_the_system_are_left_alone(full: Path) -> None:
    for folder in ("", "images", "masks", "objects", "splits"):
        for name in SYSTEM:
            (full / folder / name).write_bytes(b"\0\1 not yours")
        (full / folder / "__MACOSX").mkdir()
    (full / "splits" / "train.txt").write_text(
        "\n".join([".DS_Store", "a", "._a.png", "b", "Thumbs.db", "desktop.ini"])
    )
    assert available_splits(full) == ["train"]
    assert open_dataset(full, split="train").names == ("a", "b")
    report = check_dataset(full)
    assert report.ok, report.text()
    assert not report.remarks


def test_what_is_not_read_is_named(full: Path) -> None:
    for name in ("d.npy", "e.heic", "f.dcm", "g.xyz"):
        (full / "images" / name).write_bytes(b"?")
    (line,) = check_dataset(full).remarks
    assert "images: leaving out 4 files of kinds that cannot be read as images: d.npy" in line
    assert "g.xyz" not in line


def test_lists_of_paths(full: Path) -> None:
    (full / "splits" / "train.txt").write_text("images/b.png\nD:\\set\\images\\a.jpg\n/data/set/c\n")
    assert open_dataset(full, split="train").names == ("b", "a", "c")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lists_of_other_systems(full: Path, encoding: str, end: str) -> None:
    (full / "splits" / "train.txt").write_bytes(end.join(["b  ", "", "a.png", ""]).encode(encoding))
    (full / "classes.txt").write_bytes(end.join(["Straße ", "", " Äcker"]).encode(encoding))
    dataset = open_dataset(full, split="train")
    assert dataset.names == ("b", "a")
    assert dataset.classes == ("Straße", "Äcker")


def flipped(path: Path, size: tuple[int, int], orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    Image.new("L", size[::-1]).save(path, exif=exif)


def test_a_photo_that_its_camera_turned_and_a_mask_that_is_not(make_folder: MakeFolder) -> None:
    root = make_folder("ab")
    (root / "images" / "a.png").unlink()
    flipped(root / "images" / "a.jpg", (6, 8), 6)
    with pytest.raises(UserError, match=r"photo has an orientation tag \(EXIF orientation 6\).*rotate the mask"):
        open_dataset(root).load(0)
    write_mask(root / "masks" / "a.png", np.ones((8, 6), np.uint8))
    assert open_dataset(root).load(0)[1].shape == (8, 6)
    assert any("rotated by an EXIF orientation: 1 (a)" in line for line in check_dataset(root).remarks)
    write_image(root / "images" / "b.png", np.zeros((8, 6, 3), np.uint8))
    flipped(root / "masks" / "b.png", (8, 6), 8)
    with pytest.raises(UserError, match=r"the mask has an orientation tag of a quarter turn \(8\)"):
        open_dataset(root).load(1)


CLASS_FILES = {
    "plain": "ground\nred cell\nR2 D2\n",
    "comment": "# my classes\nground\nred cell\nR2 D2\n",
    "comments between": "ground\n# round ones\nred cell\nR2 D2\n# end",
    "header": "class_name\nground\nred cell\nR2 D2\n",
    "header with colon": "Classes:\nground\nred cell\nR2 D2\n",
    "numbers": "0 ground\n1 red cell\n2 R2 D2\n",
    "numbers with colons": "0: ground\n1: red cell\n2: R2 D2\n",
    "numbers and header": "id,name\n0,ground\n1,red cell\n2,R2 D2\n",
    "JSON": '["ground", "red cell", "R2 D2"]',
    "JSON by number": '{"0": "ground", "1": "red cell", "2": "R2 D2"}',
    "CVAT": "# label:color_rgb:parts:actions\nground:0,0,0::\nred cell:200,10,0::\nR2 D2:0,0,255:head,leg:roll\n",
    "CVAT without its first line": "ground:0,0,0::\nred cell:200,10,0::\nR2 D2:0,0,255::\n",
    "colours behind": "ground 0 0 0\nred cell 200 10 0\nR2 D2 0 0 255\n",
    "colours before": "0 0 0\tground\n200 10 0\tred cell\n0 0 255\tR2 D2\n",
    "table": "name,r,g,b\nground,0,0,0\nred cell,200,10,0\nR2 D2,0,0,255\n",
    "table with numbers": "id;name;r;g;b\n0;ground;0;0;0\n1;red cell;200;10;0\n2;R2 D2;0;0;255\n",
    "JSON with colours": '[{"name": "ground", "color": [0, 0, 0]}, {"name": "red cell", "color": "#c80a00"},'
    ' {"name": "R2 D2", "color": [0, 0, 255]}]',
}


@pytest.mark.parametrize("kind", CLASS_FILES)
def test_class_files(make_folder: MakeFolder, kind: str) -> None:
    root = make_folder("ab")
    (root / "classes.txt").write_text(CLASS_FILES[kind])
    assert open_dataset(root).classes == ("ground", "red cell", "R2 D2")
    coloured = any(word in kind for word in ("CVAT", "colours", "table"))
    expected = ((0, 0, 0), (200, 10, 0), (0, 0, 255)) if coloured else None
    assert read_class_list(root / "classes.txt").colours == expected


def test_cvat_calls_its_file_labelmap(make_folder: MakeFolder) -> None:
    root = make_folder("ab")
    (root / "classes.txt").unlink()
    (root / "labelmap.txt").write_text(CLASS_FILES["CVAT"])
    assert open_dataset(root).classes == ("ground", "red cell", "R2 D2")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"a\xff\n", "not UTF-8"),
        (b"a:1,2,3::\nb\n", "gives colours for some classes but none for 'b'"),
        (b'{"a": 1}', "expected a JSON list"),
        (b"[" * 5000, "not valid JSON"),
        (b"a\nb\na\n", "'a' occurs twice"),
        (b"a\0b\n", "not text"),
        (b"", "0 classes|one class name per line"),
    ],
)
def test_class_files_that_make_no_sense(make_folder: MakeFolder, text: bytes, words: str) -> None:
    root = make_folder("ab")
    (root / "classes.txt").write_bytes(text)
    with pytest.raises(UserError, match=words):
        open_dataset(root)


@pytest.mark.parametrize("name", ["B.jpg", "b", "\uff42", "B "])
def test_boxes_of_names_that_look_the_same(make_folder: MakeFolder, name: str) -> None:
    root = make_folder("ab")
    (root / "boxes.csv").write_text(f"image,class,x0,y0,x1,y1\n{name},cell,0,0,8,6\n", encoding="utf-8")
    report = check_dataset(root)
    assert report.ok, report.text()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"image,class,x0,y0,x1,y1\n" + b"a" * 140_000 + b",cell,0,0,1,1\n", r"line 2: not valid CSV"),
        (b"\xff\xfe\xff", "not UTF-8"),
        (b"image,class,x0,y0,x1,y1\na,cell,0,0," + b"9" * 5000 + b",1\n", "line 2: expected whole numbers"),
        (b"\0\0", "not text"),
    ],
)
def test_tables_that_cannot_be_read(make_folder: MakeFolder, text: bytes, words: str) -> None:
    root = make_folder("ab")
    (root / "boxes.csv").write_bytes(text)
    assert any(re.search(words, problem) for problem in check_dataset(root).problems)
