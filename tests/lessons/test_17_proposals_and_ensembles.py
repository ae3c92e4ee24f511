"""Lesson 17: the figures of its text are those of its code."""

import numpy as np

from tests.lessons.conftest import stored_rows


def test_the_text_follows_the_row_of_eight_pixels(lesson):
    seventeen = lesson(17)
    maps = seventeen.values["maps"]
    seventeen.says("B has −{:.0f} and A, which does not reach that far, has {:.0f}", -maps[1, 7], maps[0, 7])
    assert seventeen.values["largest"][7] == 0


def test_the_text_names_the_published_results(lesson):
    seventeen = lesson(17)
    fcn, deconvnet, both = seventeen.values["published"].values()
    seventeen.says("DeconvNet alone has {} against the {} of FCN-8s, both together {}", deconvnet, fcn, both)


def test_the_text_describes_the_grid(lesson):
    seventeen = lesson(17)
    boxes = seventeen.values["grid"]("", np.zeros((64, 64, 3), np.uint8))
    sides, counts = np.unique([box.height for box in boxes], return_counts=True)
    assert (sides.tolist(), counts.tolist()) == ([23, 32, 45, 64], [25, 9, 4, 1])
    seventeen.says("the whole image, 4 squares of 45 pixels, 9 of 32 and 25 of 23")
    seventeen.says("{} boxes from a regular grid", len(boxes))


def test_the_boxes_of_the_truth_find_every_object(lesson):
    found = lesson(17).values["found"]
    assert found["true boxes"] == [1, 1, 1]
    assert found["grid"][0] < found["grid"][2]


def test_our_scores_are_the_package_s(lesson):
    assert lesson(17).values["worst"] < 1e-3
    assert np.abs(lesson(17).values["ours"]).max() > 0.1


def test_every_system_is_measured_at_every_size(lesson):
    table = lesson(17).values["table"]
    assert len(table) == 6
    assert all(0 <= value <= 1 for row in table.values() for value in row)


def test_the_text_says_what_boxes_cost(lesson):
    seventeen = lesson(17)
    count = len(seventeen.values["grid"]("", np.zeros((64, 64, 3), np.uint8)))
    seventeen.says("{} boxes of 32×32 have {:,} pixels", count, count * 32 * 32)
    seventeen.says("It is {} times the work", seventeen.values["cost"])


def test_the_statements_hold_for_the_stored_table(lesson):
    """What the text says below the table is true of the means in it, by more than their spreads where it is clear."""
    rows = stored_rows(17)
    assert set(rows) == set(lesson(17).values["table"])
    mean = {name.removeprefix("boxes: "): np.array(means) for name, (means, _) in rows.items()}
    spread = {name.removeprefix("boxes: "): np.array(spreads) for name, (_, spreads) in rows.items()}

    def beyond_the_spread(better, worse):
        return mean[better] - mean[worse] > spread[better] + spread[worse] + 0.005  # values are rounded to 0.01

    switches = "whole, switches"
    assert beyond_the_spread(switches, "grid").tolist() == [True, True, False]
    assert beyond_the_spread("regions", switches).tolist() == [True, True, False]
    assert all(beyond_the_spread("true boxes", name).all() for name in mean if name != "true boxes")
    better = np.maximum(mean[switches], mean["regions"])
    assert (mean["whole + regions"] - better > [0, 0, -spread[switches][2]]).all()
    assert beyond_the_spread(switches, "whole, nearest").tolist() == [True, True, False]
    lead = mean[switches] - mean["whole, nearest"]
    assert lead[0] > lead[1] > lead[2]  # "far ahead for small objects and clearly for medium ones"


def test_the_table_agrees_with_that_of_lesson_16():
    """Three of the systems are networks of lesson 16, trained with the same seeds."""
    sixteen, seventeen = stored_rows(16), stored_rows(17)
    assert sixteen["whole images"] == seventeen["whole, switches"]
    assert sixteen["both stages, exact boxes"] == seventeen["boxes: true boxes"]


def test_the_text_says_how_many_objects_the_boxes_find(lesson, monkeypatch):
    """The boxes do not depend on any network, so they can be counted on the scenes of a full run."""
    values = lesson(17).values
    monkeypatch.setitem(values["found_by"].__globals__, "unseen", values["Scenes"](1000, 60))
    grid, regions = (values["found_by"](values[name]) for name in ("grid", "regions"))
    small, medium, large = (100 * share for share in grid)
    lesson(17).says("{:.0f} % of the small objects and {:.0f} % of the medium ones", small, medium)
    lesson(17).says("Of the large objects it finds {:.0f} %", large)
    shares = (100 * share for share in regions)
    lesson(17).says("{:.0f} %, {:.0f} % and {:.0f} % of the small, medium and large objects", *shares)
