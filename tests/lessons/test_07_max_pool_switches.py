"""Lesson 7: the figures of its text are those of its code."""


def test_the_gradient_agrees(lesson):
    assert lesson(7).values["worst"] < 1e-9


def test_a_wrong_switch_changes_the_gradient_but_not_its_sum(lesson):
    values = lesson(7).values
    assert abs(values["wrong"].sum() - values["analytic"].sum()) < 1e-12
    assert abs(values["wrong"] - values["analytic"]).max() > 0.1


def test_the_text_names_the_first_window(lesson):
    seven = lesson(7)
    window = seven.values["x"][:2, :2].ravel()
    seven.says("top left holds {:.0f}, {:.0f}, {:.0f}, {:.0f}.", *window)
    seven.says("then the maximum is at position {}", seven.values["switches"][0, 0])
