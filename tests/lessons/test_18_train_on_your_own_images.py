"""Lesson 18: the figures of its text are those of its code."""

import numpy as np


def test_the_text_gives_the_factors_of_the_three_rates(lesson):
    eighteen = lesson(18)
    eighteen.says("The factors are {}, {} and −{}", *(round(abs(1 - 10 * rate), 2) for rate in (0.01, 0.09, 0.21)))
    eighteen.says("after five steps the loss is still {:.2f}", 5 * 0.9**10)


def test_the_check_found_the_three_mistakes_and_they_are_corrected(lesson):
    values = lesson(18).values
    assert values["report"].ok
    assert not values["report"].duplicates
    assert len(values["data"]) == 4 * len(values["PATIENTS"])


def test_the_text_says_how_rare_the_rare_class_is(lesson):
    eighteen = lesson(18)
    eighteen.says("have {:.0f} % of the pixels", 100 * eighteen.values["shares"][-1])


def test_no_patient_is_in_two_parts(lesson):
    values = lesson(18).values
    names = [{values["data"].names[i].split("-")[0] for i in part} for part in values["parts"]]
    assert [len(part) for part in names] == [2, 3, 6]
    assert len(set.union(*names)) == 11
    assert [len(part) for part in values["parts"]] == [8, 12, 24]


def test_the_command_reads_the_same_split(lesson):
    assert lesson(18).values["code"] == 0


def test_the_threshold_finds_no_stained_cell(lesson):
    values = lesson(18).values
    best = list(values["floor"].values())[-1]
    assert best.iou[2] == 0
    assert best.accuracy > 0.7
    assert best.mean_iou < 0.5


def test_a_batch_changes_image_and_mask_alike(lesson):
    values = lesson(18).values
    mask = np.arange(64 * 64, dtype=np.uint8).reshape(64, 64) % 3
    image = np.repeat(100 * mask[:, :, None], 3, axis=2)
    flips = values["Augmentation"](crop=(64, 64), flip_horizontal=True, rotate90=True)
    x, y = values["batch_of"]([(image, mask)] * 4, 4, np.random.default_rng(0), flips)
    np.testing.assert_allclose(x[..., 0], 100 * y / 255 - 0.5, atol=1e-5)
    assert (y != mask).any()


def test_absent_classes_do_not_count_in_an_image(lesson):
    image_iou = lesson(18).values["image_iou"]
    empty = np.zeros((4, 4), np.uint8)
    assert image_iou(empty, empty) == 1
    wrong = empty.copy()
    wrong[0, 0] = 2
    assert image_iou(empty, wrong) == (15 / 16 + 0) / 2


def test_a_hook_and_its_mirror_image_are_the_two_classes(lesson):
    (_, first), (_, second) = lesson(18).values["draw_hooks"](2, 0)
    corner = [np.argwhere(mask).min(axis=0) for mask in (first, second)]
    found = [mask[top : top + 12, left : left + 8] for mask, (top, left) in zip((first, second), corner, strict=True)]
    assert (found[0] == 1).sum() == (found[1] == 2).sum() == 64
    assert ((found[0] > 0) == (found[1][:, ::-1] > 0)).all()
