from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from scratchnet.data import check_dataset, write_image, write_mask


def split(root: Path, **lists: str) -> None:
    (root / "splits").mkdir()
    for name, members in lists.items():
        (root / "splits" / f"{name}.txt").write_text("\n".join(members))


def test_a_good_set_is_described(make_folder: Callable[..., Path]) -> None:
    root = make_folder()
    split(root, train="abc", val="d")
    report = check_dataset(root)
    assert report.ok
    assert report.samples == 4
    assert report.splits == {"train": 3, "val": 1}
    assert report.sizes == {(6, 8): 4}
    assert report.counts.pixels.sum() == 4 * 48
    assert report.counts.images.tolist() == [4, 4]
    text = report.text()
    for words in ("4 images", "split val: 1", "all 6×8 pixels (height × width)", "cell", "problems: none"):
        assert words in text


def test_every_problem_is_found_in_one_run(make_folder: Callable[..., Path]) -> None:
    root = make_folder("abcdef")
    (root / "masks" / "a.png").unlink()
    (root / "images" / "b.png").unlink()
    (root / "images" / "c.png").write_bytes(b"")
    write_mask(root / "masks" / "d.png", np.full((6, 8), 7, np.uint8))
    write_mask(root / "masks" / "e.png", np.zeros((5, 8), np.uint8))
    report = check_dataset(root)
    assert not report.ok
    expected = ["a.png: has no mask", "b.png: a mask without", "c.png: is empty", "mask value 7", "its mask"]
    assert len(report.problems) == len(expected)
    for words, problem in zip(expected, report.problems, strict=True):
        assert words in problem
        assert problem in report.text()


def test_what_stops_opening_is_a_problem_too(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    root = make_folder()
    (root / "classes.txt").unlink()
    report = check_dataset(root)
    assert ["classes.txt" in problem for problem in report.problems] == [True]
    assert report.samples == 4
    assert "problems: 1" in report.text()
    assert "no such folder" in check_dataset(tmp_path / "none", classes=2).problems[0]
    split(root, train="ab")
    (root / "splits" / "val.txt").write_text("a\nx\n")
    assert any("val.txt, line 2" in problem for problem in check_dataset(root, classes=2).problems)


def test_same_image_in_two_splits(make_folder: Callable[..., Path]) -> None:
    root = make_folder()
    (root / "images" / "d.png").write_bytes((root / "images" / "a.png").read_bytes())
    report = check_dataset(root)
    assert report.duplicates == [("images/a.png", "images/d.png")]
    assert report.ok
    split(root, train="abc", val="cd")
    problems = check_dataset(root).problems
    assert len(problems) == 2
    assert any("a.png, images/d.png: the same image is in the splits train, val" in problem for problem in problems)
    assert check_dataset(root, split="val").ok


def test_sizes_empty_masks_and_absent_classes(make_folder: Callable[..., Path]) -> None:
    root = make_folder()
    write_image(root / "images" / "e.png", np.zeros((9, 3, 3), np.uint8))
    write_mask(root / "masks" / "e.png", np.zeros((9, 3), np.uint8))
    report = check_dataset(root, classes=("background", "cell", "platelet"))
    assert report.empty_masks == ["e"]
    text = report.text()
    for words in (
        "2 different (height × width), 6×3 to 9×8; most often 6×8 (4)",
        "background only: 1 (e)",
        "in no mask: platelet",
    ):
        assert words in text


def test_what_is_wrong_with_many_files_is_said_once(make_folder: Callable[..., Path]) -> None:
    root = make_folder()
    for name in "abd":
        write_mask(root / "masks" / f"{name}.png", np.full((6, 8), 7, np.uint8))
    report = check_dataset(root)
    assert len(report.problems) == 3
    *_, first, others = report.text().splitlines()
    assert first == f"  {report.problems[0]}"
    assert others == f"    the same of 2 more: {Path('masks', 'b.png')}, {Path('masks', 'd.png')}"


def test_masks_of_one_class_are_a_problem(make_folder: Callable[..., Path]) -> None:
    root = make_folder()
    for path in (root / "masks").iterdir():
        write_image(path, np.eye(6, 8, dtype=np.uint8))
    (root / "classes.txt").unlink()
    assert check_dataset(root, classes=2).ok
    assert check_dataset(root, mask_format="threshold", mask_threshold=127).problems == [
        f"{root}: every pixel of the masks is 'background' (class 0), so there is nothing to learn; check "
        "mask_format, mask_threshold and ignore_index: they say how masks are read"
    ]


def test_camvid_splits_count_once(tmp_path: Path) -> None:
    for name in ("train", "val"):
        write_image(tmp_path / name / "0.png", np.full((4, 4, 3), len(name), np.uint8))
        write_mask(tmp_path / f"{name}annot" / "0.png", np.array([[0, 1, 11, 11]] * 4, np.uint8))
    report = check_dataset(tmp_path, layout="camvid", classes=2, ignore_index=11)
    assert report.ok
    assert report.samples == 2
    assert report.splits == {"train": 1, "val": 1}
    assert report.counts.ignored == 16
    assert "(ignored)" in report.text()


def test_progress_sees_every_sample(make_folder: Callable[..., Path]) -> None:
    seen: list[int] = []

    def show(numbers: Sequence[int]) -> Iterator[int]:
        for number in numbers:
            yield number
            seen.append(number)

    check_dataset(make_folder(), progress=show)
    assert seen == [0, 1, 2, 3]
