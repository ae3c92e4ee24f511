from pathlib import Path

import numpy as np

from scratchnet.data import (
    ObjectBox,
    Window,
    find_objects,
    open_dataset,
    read_boxes,
    write_generated,
)

MASK = np.array(
    [
        [0, 1, 1, 1, 1, 0],
        [0, 1, 1, 1, 1, 2],
        [0, 0, 0, 0, 255, 2],
        [1, 0, 0, 0, 0, 0],
    ],
    np.uint8,
)


def test_regions_are_objects_where_nothing_else_is_known() -> None:
    found = find_objects(MASK)
    assert found.labels == {1: 1, 2: 2, 3: 1}
    assert found.boxes == {1: Window(0, 1, 2, 4), 2: Window(1, 5, 2, 1), 3: Window(3, 0, 1, 1)}
    assert found.instances[2, 4] == 0  # ignored
    assert find_objects(MASK, ignore_index=2).labels == {1: 1, 2: 255, 3: 1}  # the label that is ignored is a choice


def test_instance_masks_separate_touching_objects() -> None:
    numbers = np.zeros(MASK.shape, np.uint8)
    numbers[:2, 1:3], numbers[:2, 3:5], numbers[0, 5], numbers[1:3, 5], numbers[3, 5] = 7, 3, 3, 255, 9
    found = find_objects(MASK, instances=numbers)
    assert found.labels == {3: 1, 7: 1}
    assert found.boxes == {3: Window(0, 3, 2, 2), 7: Window(0, 1, 2, 2)}
    assert found.instances[0, 5] == 0  # the mask knows nothing of it


def test_an_object_has_the_class_of_most_of_its_pixels() -> None:
    numbers = np.zeros(MASK.shape, np.uint8)
    numbers[1, 3:], numbers[2, 5] = 1, 1
    assert find_objects(MASK, instances=numbers).labels == {1: 1}
    numbers[1, 3] = 0
    assert find_objects(MASK, instances=numbers).labels == {1: 2}


def test_pixels_in_several_boxes_belong_to_the_smallest() -> None:
    boxes = [
        ObjectBox("x", 1, Window(0, 2, 2, 2)),
        ObjectBox("x", 1, Window(0, 1, 3, 4)),
        ObjectBox("x", 2, Window(0, 0, 4, 6)),
        ObjectBox("x", 2, Window(3, 0, 1, 2)),  # no pixel of its class
    ]
    found = find_objects(MASK, boxes=boxes)
    assert found.labels == {1: 1, 2: 1, 3: 2}
    assert found.boxes == {1: Window(0, 2, 2, 2), 2: Window(0, 1, 3, 4), 3: Window(0, 0, 4, 6)}
    assert found.instances[0].tolist() == [0, 2, 1, 1, 2, 0]
    assert found.instances[1].tolist() == [0, 2, 1, 1, 2, 3]
    assert found.instances[3, 0] == 0


def test_generated_objects_agree_in_all_three_files(tmp_path: Path) -> None:
    write_generated("shapes", tmp_path / "set", 4, seed=2, size=64)
    dataset = open_dataset(tmp_path / "set")
    rows, problems = read_boxes(tmp_path / "set" / "boxes.csv", dataset.classes)
    assert not problems
    assert {row.image for row in rows} == set(dataset.names)
    for index, sample in enumerate(dataset.samples):
        numbers = dataset.load_instances(index)
        assert numbers is not None
        found = find_objects(dataset.load_mask(index), instances=numbers)
        mine = [row for row in rows if row.image == sample.name]
        assert list(found.labels.values()) == [row.label for row in mine]
        assert list(found.boxes.values()) == [row.box for row in mine]
        assert all(row.size is not None and 0.06 * 64 <= row.size <= 0.6 * 64 for row in mine)
