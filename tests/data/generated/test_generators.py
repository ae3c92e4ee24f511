from pathlib import Path

import numpy as np
import pytest

from scratchnet.data import CellTask, GeneratedKind, check_dataset, generate, open_dataset, write_generated
from scratchnet.utils.errors import UserError


@pytest.mark.parametrize(
    ("kind", "task", "names"),
    [
        ("squares", "stained", ("square",)),
        ("cells", "stained", ("stained cell",)),
        ("cells", "red", ("red cell",)),
        ("shapes", "stained", ("disc", "square", "triangle", "ring", "star")),
    ],
)
def test_written_sets_open_and_pass_the_check(
    tmp_path: Path, kind: GeneratedKind, task: CellTask, names: tuple[str, ...]
) -> None:
    root = tmp_path / "made"
    write_generated(kind, root, 5, seed=1, size=32, task=task)
    report = check_dataset(root)
    assert report.ok, report.text()
    assert report.splits == {"train": 4, "val": 1}
    dataset = open_dataset(root, split="train")
    assert dataset.classes == ("background", *names)
    for index in range(4):
        for written, made in zip(dataset.load(index), generate(kind, index, 1, 32, task), strict=True):
            assert np.array_equal(written, made)


def test_larger_sets_begin_with_the_smaller_ones(tmp_path: Path) -> None:
    write_generated("cells", tmp_path / "few", 2, seed=3, size=32, val_fraction=0.5)
    write_generated("cells", tmp_path / "many", 12, seed=3, size=32)
    for name in ("cells-0000.png", "cells-0001.png"):
        few, many = (tmp_path / root / "images" / name for root in ("few", "many"))
        assert few.read_bytes() == many.read_bytes()


def test_plain_shapes_are_written_as_they_are_made(tmp_path: Path) -> None:
    write_generated("shapes", tmp_path / "set", 2, seed=3, size=32, val_fraction=0.5, plain=True)
    image, mask = open_dataset(tmp_path / "set", split="train").load(0)
    made = generate("shapes", 0, 3, 32, plain=True)
    assert np.array_equal(image, made[0])
    assert np.array_equal(mask, made[1])
    assert not np.array_equal(image, generate("shapes", 0, 3, 32)[0])


def test_default_sizes() -> None:
    assert generate("squares", 0, 0)[1].shape == (512, 512)
    assert generate("cells", 0, 0)[1].shape == (128, 128)
    assert generate("shapes", 0, 0)[1].shape == (160, 160)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "note.txt").touch()
    for directory in (tmp_path, tmp_path / "note.txt"):
        with pytest.raises(UserError, match="not an empty folder"):
            write_generated("cells", directory, 5, seed=0)


@pytest.mark.parametrize(
    ("count", "size", "fraction", "words"),
    [(1, 32, 0.2, "leave none"), (5, 8, 0.2, "image size 8"), (5, 32, 0.0, "between 0 and 1")],
)
def test_impossible_sets(tmp_path: Path, count: int, size: int, fraction: float, words: str) -> None:
    with pytest.raises(UserError, match=words):
        write_generated("squares", tmp_path / "made", count, seed=0, size=size, val_fraction=fraction)
    assert not (tmp_path / "made").exists()
