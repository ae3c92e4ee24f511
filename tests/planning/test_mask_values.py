"""Masks whose format the user has not declared: two cases are unambiguous, all others are refused with a flag."""

import numpy as np
import pytest
from PIL import Image

from scratchnet.config import DataSettings
from scratchnet.data.layouts import find_samples
from scratchnet.data.masks import read_mask
from scratchnet.planning.mask_values import recognize_masks
from scratchnet.utils.errors import UserError
from scratchnet.utils.options import named_as_flags


def recognized(root, *masks, given=(), names=None, mode=None, suffix="png", **data):
    """Write masks and recognise them."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for index, values in enumerate(masks):
        pixels = np.resize(np.array(values, np.uint8), (6, 6))
        Image.fromarray(pixels).save(root / "images" / f"{index}.png")
        image = Image.fromarray(pixels)
        (image.convert(mode) if mode else image).save(root / "masks" / f"{index}.{suffix}")
    if names:
        (root / "classes.txt").write_text("\n".join(names))
    with named_as_flags():
        samples, _ = find_samples(root, "folder", None)
        return recognize_masks(DataSettings(data=str(root), **data), frozenset(given), samples)


def test_black_and_white_masks(tmp_path):
    found = recognized(tmp_path, [0, 255], [0], [255])
    assert (found.data.mask_format, found.data.classes) == ("binary", None)
    assert found.remarks == ("all masks hold 0 and 255 only, so 255 is the foreground (--mask-format binary)",)


def test_black_and_white_masks_in_rgb(tmp_path):
    assert recognized(tmp_path, [0, 255], mode="RGB").data.mask_format == "binary"


@pytest.mark.parametrize("masks", [([0, 255], [0, 1]), ([0, 254, 255],)])
def test_nearly_black_and_white_is_not_guessed(tmp_path, masks):
    with pytest.raises(UserError, match=r"--mask-format binary|--mask-threshold 127"):
        recognized(tmp_path, *masks)


def test_the_users_format_is_kept(tmp_path):
    found = recognized(tmp_path, [0, 255], given={"mask_threshold"}, mask_threshold=10)
    assert (found.data.mask_format, found.data.mask_threshold, found.remarks) == ("index", 10, ())


def test_three_names_and_255_stay_indices(tmp_path):
    """255 is ignored there, as before."""
    assert recognized(tmp_path, [0, 255], names=["a", "b", "c"]).data.mask_format == "index"


def test_classes_are_counted(tmp_path):
    found = recognized(tmp_path, [0, 1], [0, 1, 255], [2])
    assert found.data.classes == 3
    assert found.remarks == (
        f"{tmp_path / 'classes.txt'} does not exist; the masks hold 3 classes, called class 0, class 1, class 2 "
        "(--classes 3)",
    )


@pytest.mark.parametrize("more", [{"names": ["a", "b"]}, {"classes": 4, "given": {"classes"}}])
def test_classes_that_are_known_are_not_counted(tmp_path, more):
    found = recognized(tmp_path, [0, 1], **more)
    assert (found.data.classes, found.remarks) == (more.get("classes"), ())


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        ([0, 1, 3], r"hold the values 0, 1, 3, not 0, 1, 2, …; use --classes 4 if"),
        (
            [0, 38, 75, 113],
            r"0, 38, 75, 113, .*; use --mask-values 0=0 38=1 75=2 113=3 if .*, or --mask-threshold 127 if",
        ),
        ([0, 128, 255], r"hold the values 0, 128, 255, .*; use --mask-values 0=0 128=1 255=2 if"),
        (list(range(0, 106, 3)), r"…, not 0, 1, 2, …; use --classes 106 if .* do not occur$"),
        ([1, 2], "hold the values 1, 2, .* --classes 3 if .*, else --mask-values 1=0 2=1"),
        ([255], "mask values are only 0 and 255|hold the values none"),
    ],
)
def test_values_with_gaps_are_refused(tmp_path, mask, words):
    more = {"names": None} if mask != [255] else {"given": {"mask_format"}}
    with pytest.raises(UserError, match=words) as caught:
        recognized(tmp_path, mask, **more)
    assert "\n" not in str(caught.value)


def test_a_map_of_the_values_leaves_nothing_to_recognize(tmp_path):
    found = recognized(tmp_path, [0, 255], given={"mask_values"}, mask_values=("0=1", "255=0"))
    assert (found.data.mask_format, found.data.classes, found.remarks) == ("index", None, ())


def test_lossy_masks_get_the_advice_of_the_reader(tmp_path):
    with pytest.raises(UserError, match="JPEG, whose compression changes class indices; use --mask-threshold 127"):
        recognized(tmp_path, [0, 255], suffix="jpg")


def test_the_reader_names_the_right_format_of_an_rgb_mask_at_once(tmp_path):
    for values, fitting in (
        ([0, 255], "--mask-format binary$"),
        ([0, 1], "--mask-format rgb-index$"),
        ([0, 128, 255], "--mask-format rgb-index with --mask-values 0=0 128=1 255=2$"),
    ):
        path = tmp_path / "mask.png"
        Image.fromarray(np.resize(np.array(values, np.uint8), (4, 4))).convert("RGB").save(path)
        with named_as_flags(), pytest.raises(UserError, match=f"channels are equal: use {fitting}"):
            read_mask(path)
