"""Lesson 21: the counts of its text are those of its code. Times are printed there, and tested nowhere."""


def test_counts(lesson):
    values = lesson(21).values
    lesson(21).says("{:.1f} million multiplications, each", values["products"] / 1e6)
    lesson(21).says("{:.0f} multiplications for each value", values["per_number"])
    lesson(21).says("{} times fewer multiplications", values["products"] / values["winograd_products"])


def test_all_ways_agree(lesson):
    values = lesson(21).values
    for way in ("by_loops", "by_im2col", "by_tiles", "by_winograd"):
        assert values["off"](values[way](values["x"], values["weight"])) < 1e-5, way


def test_every_step_was_timed(lesson):
    assert set(lesson(21).values["names"]) == set(lesson(21).values["ladder"])


def test_it_says_when_the_machine_is_busy(lesson):
    values = lesson(21).values
    assert 0 <= values["waiting"] <= 1
    assert values["busy"] == (values["waiting"] > 0.1)
    assert ("busy" in values["axes"].get_xlabel()) == values["busy"]
