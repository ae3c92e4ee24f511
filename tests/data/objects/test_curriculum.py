from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from scratchnet.data import (
    BOXES_FILE,
    Curriculum,
    Dataset,
    ObjectBox,
    Window,
    group_by_image,
    open_dataset,
    read_boxes,
    training_boxes,
    validation_boxes,
    write_generated,
    write_image,
    write_mask,
)
from scratchnet.data.objects.box_sampling import pairwise_iou
from scratchnet.data.objects.curriculum import Example, balanced
from scratchnet.utils.errors import UserError

ONE, TWO = Curriculum(stage=1, box_size=40), Curriculum(stage=2, box_size=40)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shapes") / "set"
    write_generated("shapes", root, 12, seed=4, size=96)
    return root


def boxes_of(root: Path) -> dict[str, list[ObjectBox]]:
    return group_by_image(read_boxes(root / BOXES_FILE, open_dataset(root).classes)[0])


def pair(root: Path, *, numbered: bool = True) -> Dataset:
    """One image: a disc-like 1 that touches another 1, a 2, and an ignored stripe, all grey levels told apart."""
    mask = np.zeros((20, 30), np.uint8)
    mask[4:14, 2:12], mask[4:14, 12:16], mask[2:8, 20:26], mask[16, :] = 1, 1, 2, 255
    numbers = np.zeros_like(mask)
    numbers[4:14, 2:12], numbers[4:14, 12:16], numbers[2:8, 20:26] = 1, 2, 3
    write_image(root / "images" / "a.png", np.repeat((100 + 40 * numbers)[:, :, None], 3, axis=2))
    write_mask(root / "masks" / "a.png", mask)
    if numbered:
        write_mask(root / "objects" / "a.png", numbers)
    return open_dataset(root, classes=3)


def test_stage_1_labels_one_object_and_centres_it(tmp_path: Path) -> None:
    found = training_boxes(pair(tmp_path), Curriculum(stage=1, box_size=36, min_object_size=5), {}, 0)
    assert [e.window for e in found.examples] == [Window(3, 1, 12, 12), Window(3, 12, 12, 5), Window(2, 20, 7, 7)]
    assert len(found.names) == len(found) == 3
    assert found.names[0] == "a@3,1+12x12"
    image, mask = found.load(0)
    assert (image.shape, mask.shape, found.size(0)) == ((36, 36, 3), (36, 36), (36, 36))
    inside = np.zeros((12, 12), bool)
    inside[1:11, 1:11] = True  # box × 1.2, each of its pixels three times as wide
    np.testing.assert_array_equal(mask, np.repeat(np.repeat(inside, 3, 0), 3, 1).astype(np.uint8))
    assert image[18, 18, 0] == 140
    assert image[18, 35, 0] > 160  # the touching neighbour is to be seen, but it is background
    assert set(np.unique(found.load(2)[1])) == {0, 2}


def test_ignored_pixels_stay_ignored_and_so_is_what_lies_beyond(tmp_path: Path) -> None:
    dataset = pair(tmp_path)
    found = training_boxes(dataset, Curriculum(stage=1, box_size=40, box_context=4.0), {}, 0)
    image, mask = found.load(0)
    assert found.examples[0].window == Window(-11, -13, 40, 40)
    assert (mask[16 + 11, 13:] == 255).all()
    assert (mask[:11] == 255).all()
    assert (mask[:, :13] == 255).all()
    assert (image[:11] == 0).all()
    assert (mask[mask != 255] <= 1).all()
    assert (mask == 1).sum() == 100


def test_without_numbered_objects_boxes_tell_them_apart_else_regions(tmp_path: Path) -> None:
    dataset = pair(tmp_path, numbered=False)
    regions = training_boxes(dataset, ONE, {}, 0)
    assert [e.window for e in regions.examples] == [Window(3, 1, 12, 17)]  # the 2 is too small, the 1s are one
    boxes = {"a": [ObjectBox("a", 1, Window(4, 2, 10, 10)), ObjectBox("a", 2, Window(2, 20, 6, 9))]}
    given = training_boxes(dataset, ONE, boxes, 0)
    assert [(e.label, e.window) for e in given.examples] == [(1, Window(3, 1, 12, 12)), (2, Window(2, 19, 7, 11))]
    assert (given.load(0)[1] == 1).sum() == pytest.approx(40 * 40 * 100 / 144, rel=0.06)
    # With a list of boxes, an image that it leaves out has no objects.
    with pytest.raises(UserError, match="no image has an object"):
        training_boxes(dataset, ONE, {"b": boxes["a"]}, 0)


@pytest.mark.parametrize("stage", [1, 2])
def test_numbered_objects_and_boxes_agree(shapes: Path, stage: int) -> None:
    dataset, c = open_dataset(shapes), Curriculum(stage=stage, box_size=24)  # type: ignore[arg-type]
    assert training_boxes(dataset, c, {}, 3).examples == training_boxes(dataset, c, boxes_of(shapes), 3).examples


def test_stage_2_takes_boxes_that_overlap_an_object_and_labels_everything(shapes: Path) -> None:
    dataset, boxes = open_dataset(shapes), boxes_of(shapes)
    c = Curriculum(stage=2, box_size=40, box_context=1.0, min_iou=0.6, boxes_per_object=3)
    found = training_boxes(dataset, c, boxes, 0)
    several = 0
    for index, example in list(enumerate(found.examples))[::7]:
        rows = [row for row in boxes[dataset.names[example.image]] if max(row.box.height, row.box.width) >= 8]
        shares = pairwise_iou([example.window], [row.box for row in rows])[0]
        assert shares.max() >= 0.6
        assert rows[int(shares.argmax())].label == example.label
        mask = found.load(index)[1]
        several += len(set(np.unique(mask)) - {0, 255}) > 1
    assert several > 10
    lax = training_boxes(dataset, Curriculum(stage=2, min_iou=0.3), boxes, 0)
    assert len(set(lax.examples)) > len(set(found.examples))


def test_stage_2_uses_the_grid_and_random_boxes(shapes: Path) -> None:
    dataset = open_dataset(shapes)
    grid = training_boxes(dataset, Curriculum(stage=2, boxes_per_object=0), {}, 0)
    both = training_boxes(dataset, TWO, {}, 0)
    objects = len(validation_boxes(dataset, TWO, 32, {}))
    assert objects < len(set(grid.examples)) < len(set(both.examples))
    assert set(grid.examples) <= set(both.examples)


def test_stage_2_repeats_rare_classes(shapes: Path) -> None:
    found = training_boxes(open_dataset(shapes), TWO, {}, 0)
    counts = Counter(example.label for example in found.examples)
    assert len(counts) == 5
    assert len(set(counts.values())) == 1
    once = Counter(example.label for example in set(found.examples))
    assert max(once.values()) == counts[1]
    assert min(once.values()) < counts[1]


def test_repeating_goes_round() -> None:
    examples = [Example(i, 1, label, Window(0, 0, 1, 1)) for i, label in enumerate([2, 1, 2, 2, 1, 2, 2])]
    repeats = Counter(example.image for example in balanced(examples))
    assert repeats == {0: 1, 1: 3, 2: 1, 3: 1, 4: 2, 5: 1, 6: 1}
    assert balanced([]) == []


def test_the_seed_decides_the_random_boxes_and_nothing_else(shapes: Path) -> None:
    dataset = open_dataset(shapes)
    one, same, other = (training_boxes(dataset, TWO, {}, seed).examples for seed in (1, 1, 2))
    assert one == same != other
    assert training_boxes(dataset, ONE, {}, 1).examples == training_boxes(dataset, ONE, {}, 2).examples


@pytest.mark.parametrize("curriculum", [ONE, TWO])
def test_validation_has_one_box_an_object(shapes: Path, curriculum: Curriculum) -> None:
    dataset = open_dataset(shapes, split="val")
    found = validation_boxes(dataset, curriculum, 32, {})
    rows = [row for name in dataset.names for row in boxes_of(shapes)[name] if max(row.box.height, row.box.width) >= 8]
    assert [e.label for e in found.examples] == [row.label for row in rows]
    assert found.load(0)[0].shape == (32, 32, 3)
    labels = [set(np.unique(found.load(i)[1])) - {0, 255} for i in range(len(found))]
    assert all(e.label in seen for e, seen in zip(found.examples, labels, strict=True))
    assert any(len(seen) > 1 for seen in labels) == (curriculum.stage == 2)


def test_nothing_to_learn_from(tmp_path: Path) -> None:
    dataset = pair(tmp_path)
    with pytest.raises(UserError, match=r"^stage=1: no image has an object.*50 pixels; lower min_object_size"):
        training_boxes(dataset, Curriculum(stage=1, min_object_size=50), {}, 0)
    with pytest.raises(UserError, match="stage=2: no image"):
        validation_boxes(dataset, Curriculum(stage=2, min_object_size=50), 32, {})
