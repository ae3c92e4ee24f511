"""Lesson 16: the figures of its text are those of its code."""

import numpy as np


def test_the_text_follows_the_row_of_eight_pixels(lesson):
    sixteen = lesson(16)
    maps = sixteen.values["maps"]
    sixteen.says("B has −{:.0f} and A, which does not reach that far, has {:.0f}", -maps[1, 7], maps[0, 7])
    assert sixteen.values["largest"][7] == 0


def test_the_text_names_the_published_results(lesson):
    sixteen = lesson(16)
    fcn, deconvnet, both = sixteen.values["published"].values()
    sixteen.says("DeconvNet alone has {} against the {} of FCN-8s, both together {}", deconvnet, fcn, both)


def test_the_text_says_what_a_number_sees(lesson):
    sixteen = lesson(16)
    sixteen.says("It sees {} pixels", sixteen.values["field"])
    disc, ring, least = (sixteen.values[name] for name in ("largest_disc", "ring", "smallest"))
    sixteen.says("largest disc is {:.0f} pixels wide, and a ring as large is {:.0f} wide", disc, ring)
    sixteen.says("The smallest disc has {:.0f}, and three pools make half a pixel of that", least)
    assert round(least) / 2**3 == 0.5


def test_boxes_of_both_kinds_are_balanced(lesson):
    values = lesson(16).values
    assert values["counts"][0] == values["counts"][1]
    assert len(values["stage2"]) > len(values["stage1"])


def test_a_first_stage_box_labels_its_object_alone(lesson):
    values = lesson(16).values
    for index, example in enumerate(values["stage1"].examples[:20]):
        found = set(np.unique(values["stage1"].load(index)[1]).tolist())
        assert found <= {0, example.label, 255}


def test_our_scores_are_the_package_s(lesson):
    assert lesson(16).values["worst"] < 1e-3
    assert np.abs(lesson(16).values["ours"]).max() > 0.1


def test_every_system_is_measured_at_every_size(lesson):
    table = lesson(16).values["table"]
    assert len(table) == 6
    assert all(0 <= value <= 1 for found in table.values() for value in found.values())


def test_the_text_says_what_boxes_cost(lesson):
    lesson(16).says("It is {} times the work", lesson(16).values["cost"])
    assert lesson(16).values["invented"] > 0
