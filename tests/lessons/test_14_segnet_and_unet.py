"""Lesson 14: the figures of its text are those of its code."""

from tests.lessons.conftest import stored_rows


def test_the_gradients_of_the_two_uses_are_summed(lesson):
    assert lesson(14).values["worst"] < 1e-8


def test_the_text_says_what_must_be_remembered(lesson):
    fourteen = lesson(14)
    maps, packed = fourteen.values["maps"], fourteen.values["packed"]
    fourteen.says("{:.0f} MB and the switches {:.2f} MB, a {}th", maps / 1e6, packed / 1e6, maps // packed)
    assert fourteen.values["measured"].int64 * 2 == maps  # "half as much as the maps themselves"


def test_the_text_goes_down_and_up_with_the_sizes(lesson):
    fourteen = lesson(14)
    first, *between, last = fourteen.values["rows"]
    fourteen.says("{} rows become {}, {}, {}, and {} become {}", first, *between, between[-1], last)
    assert fourteen.values["back"].shape[1] == between[-1]
    fourteen.says("{}: a border of {} pixels", fourteen.values["side"], (572 - fourteen.values["side"]) // 2)


def test_the_text_says_what_a_concatenation_costs(lesson):
    fourteen = lesson(14)
    numbers = fourteen.values["numbers"]
    assert numbers["switches"] == numbers["nearest"]
    fourteen.says("The concatenations cost {:,}", numbers["features"] - numbers["nearest"])


def test_the_three_see_the_same_images(lesson):
    values = lesson(14).values
    assert {p.shape for p in values["predictions"].values()} == {values["truth"].shape}
    assert 0.05 < values["border"].mean() < 0.5  # a band along the outlines, not the whole image


def test_the_statements_hold_for_the_stored_table(lesson):
    rows = stored_rows(14)
    assert set(rows) == set(lesson(14).values["numbers"])
    (nearest, off_nearest), (switches, off_switches), (features, off_features) = (
        tuple(zip(*rows[way], strict=True)) for way in ("nearest", "switches", "features")
    )
    # Each is (mean, spread), first of the IoU, then of the errors at outlines in per cent.
    assert off_features[0] + off_features[1] < min(off_switches[0] - off_switches[1], off_nearest[0] - off_nearest[1])
    assert 0 < switches[0] - nearest[0] < max(switches[1], nearest[1])  # "by less than the spread of the runs"
    assert switches[0] < features[0] < switches[0] + switches[1]
