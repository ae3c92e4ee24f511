import numpy as np
import pytest
from PIL import Image

from scratchnet.data import check_dataset, open_dataset, read_mask, write_image
from scratchnet.data.mask_values import class_count, parse_mask_values, proposed_values
from scratchnet.utils.errors import UserError
from scratchnet.utils.options import named_as_flags

MAP = ((0, 0), (128, 1), (255, 2))


def write(path, values, mode="L"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array(values, np.uint16 if mode == "I;16" else np.uint8)).convert(mode).save(path)
    return path


def write_folder(root, *masks):
    for index, mask in enumerate(masks):
        write(root / "masks" / f"{index}.png", mask)
        write_image(root / "images" / f"{index}.png", np.full((*np.shape(mask), 3), index, np.uint8))
    return root


@pytest.mark.parametrize(("mode", "form"), [("L", "index"), ("RGB", "rgb-index")])
def test_values_become_classes(tmp_path, mode, form):
    path = write(tmp_path / "m.png", [[0, 128, 255], [255, 0, 0]], mode)
    found = read_mask(path, format=form, classes=3, values=MAP)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, [[0, 1, 2], [2, 0, 0]])


def test_values_above_a_byte_and_ignored_pixels(tmp_path):
    path = write(tmp_path / "m.png", [[0, 1000, 40000]], "I;16")
    values = parse_mask_values(["0=1", "1000=0", "40000=ignore"])
    np.testing.assert_array_equal(read_mask(path, values=values), [[1, 0, 255]])
    np.testing.assert_array_equal(read_mask(path, values=values, ignore_index=9), [[1, 0, 9]])
    with pytest.raises(UserError, match=r"mask value 40000, for which mask_values has no class"):
        read_mask(path, values=values, ignore_index=None)


def test_values_without_a_class(tmp_path):
    path = write(tmp_path / "m.png", [[0, 127, 129, 255]])
    with named_as_flags(), pytest.raises(UserError) as caught:
        read_mask(path, classes=3, values=MAP)
    assert str(caught.value) == (
        f"{path}: mask value 127, 129, for which --mask-values has no class; add 127=CLASS or 127=ignore"
    )


def test_more_classes_than_names(tmp_path):
    with pytest.raises(UserError, match="has the class 2, but the 2 classes are 0 to 1"):
        read_mask(write(tmp_path / "m.png", [[0]]), classes=2, values=MAP)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["0=0", "128"], "VALUE=CLASS"),
        (["0=0", "1=255"], "a class from 0 to 254"),
        (["0=0", "-1=1"], "VALUE=CLASS"),
        (["0=0", "0=1"], "one class for the value 0"),
        (["0=0", "255=ignore"], "at least two classes"),
    ],
)
def test_words_that_are_no_map(words, expected):
    with pytest.raises(ValueError, match=expected):
        parse_mask_values(words)


def test_the_number_of_classes_follows_from_the_map(tmp_path):
    root = write_folder(tmp_path / "set", [[0, 128]], [[255, 0]])
    dataset = open_dataset(root, mask_values=MAP)
    assert dataset.classes == ("class 0", "class 1", "class 2")
    assert [dataset.load(index)[1].tolist() for index in (0, 1)] == [[[0, 1]], [[2, 0]]]
    report = check_dataset(root, mask_values=MAP)
    assert report.problems == []
    assert report.counts.pixels.tolist() == [2, 1, 1]
    assert class_count(MAP) == 3


def test_a_check_proposes_the_whole_map_first(tmp_path):
    root = write_folder(tmp_path / "set", [[0, 128, 128]], [[255, 0, 38]])
    with named_as_flags():
        problems = check_dataset(root).problems
    assert problems[0] == (
        f"{root}: the masks hold the values 0, 38, 128, 255; use --mask-values 0=0 38=1 128=2 255=3 if each is a class"
    )


def test_a_mask_that_does_not_fit_known_classes_gets_a_map_for_its_values(tmp_path):
    path = write(tmp_path / "m.png", [[0, 128, 255]])
    with named_as_flags(), pytest.raises(UserError, match=r"`ignore`, .* by --mask-values 0=0 128=1 255=2$"):
        read_mask(path, classes=3)


def test_shades_get_no_map():
    assert proposed_values(range(33)) is None
    assert proposed_values([7]) is None
