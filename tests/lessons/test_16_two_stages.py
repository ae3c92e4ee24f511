"""Lesson 16: the figures of its text are those of its code."""

import numpy as np

from tests.lessons.conftest import stored_rows

BOTH = ("both stages, exact boxes", "both stages, careless boxes", "both stages, tight boxes")


def test_the_text_follows_the_box_by_hand(lesson):
    sixteen = lesson(16)
    top, left, height, width = sixteen.values["hand_box"]
    sixteen.says("the box begins at row {} and column {}", top, left)
    sixteen.says("A box 1.2 times as large has {}×{}", height, width)
    sixteen.says("ends with row {} and column {}", top + height - 1, left + width - 1)
    assert sixteen.values["repeated"][1] == ["a", "b", "a", "b", "a"]


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


def test_the_text_follows_the_straight_line_of_the_learning_rate(lesson):
    sixteen, updates = lesson(16), 400
    rates = [5e-3 * (1 - t / updates) for t in (0, 200, 399)]
    sixteen.says("the rate is {} · (1 − t/{}) in update t, so it is {} at first", rates[0], updates, rates[0])
    sixteen.says("{} in update 200, and {:.7f} in update 399", rates[1], rates[2])
    rate, total = sixteen.values["rate"], sixteen.values["UPDATES"]
    assert np.allclose([rate(0), rate(total / 2), rate(total)], [5e-3, 2.5e-3, 0])


def test_every_network_is_measured_with_every_kind_of_box(lesson):
    table = lesson(16).values["table"]
    assert len(table) == 8
    assert all(0 <= value <= 1 for row in table.values() for value in row)
    assert lesson(16).values["invented"] > 0
    assert lesson(16).values["once"][0] < lesson(16).values["once"][1]


def test_the_statements_hold_for_the_stored_table(lesson):
    """What the text says below the table is true of the means in it, by more than their spreads where it is clear."""
    rows = stored_rows(16)
    assert set(rows) == set(lesson(16).values["table"])
    mean = {name: np.array(means) for name, (means, _) in rows.items()}
    spread = {name: np.array(spreads) for name, (_, spreads) in rows.items()}
    whole, exact, careless = (mean[name] for name in ("whole images", *BOTH[:2]))
    assert whole[0] < whole[1] < whole[2]  # "small objects are the worst and large ones the best"
    gain = exact - whole
    assert (gain > 2 * (spread["whole images"] + spread[BOTH[0]])).all()  # "better at every size"
    assert gain.argmax() == 1  # "and most at medium size"
    cost = exact - careless
    lesson(16).says("Careless boxes cost {:.2f} to {:.2f} of IoU", cost.min(), cost.max())
    assert (careless - whole > [0.1, 0.1, 0]).all()  # "clearly for small and medium objects and narrowly for large"
    assert careless[2] - whole[2] < 0.08
    assert mean["stage 1 alone, careless boxes"][2] < whole[2]
    alike = mean["stage 2 alone, careless boxes"] - careless
    assert (np.abs(alike) < 0.025).all()  # "as good as both stages if the boxes are careless"
    worse = exact - mean["stage 2 alone, exact boxes"]
    assert ((worse > 0.01) & (worse < 0.07)).all()  # "a few hundredths worse if they are exact"
    lost = exact - mean[BOTH[2]]
    assert lost[0] < 0.05  # "medium and large objects lose about a tenth of IoU, small ones hardly anything"
    assert ((lost[1:] > 0.07) & (lost[1:] < 0.13)).all()
