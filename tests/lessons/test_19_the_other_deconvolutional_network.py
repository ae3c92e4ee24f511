"""Lesson 19: the figures of its text are those of its code, and its claims hold for its own functions."""

import numpy as np


def test_the_three_rules_by_hand(lesson):
    nineteen = lesson(19)
    rules = nineteen.values["rules"]
    kept = {method: [int(value) for value in passed if value] for method, passed in rules.items()}
    assert kept == {"gradient": [3, -5], "deconvnet": [3, 4], "guided": [3]}
    nineteen.says("The gradient keeps 3 and −5. The deconvnet keeps 3 and 4")
    nineteen.says("Guided backpropagation keeps only the 3.")


def test_with_a_single_relu_the_three_agree(lesson):
    by_loops = lesson(19).values["by_loops"]
    np.testing.assert_array_equal(by_loops["gradient"], by_loops["deconvnet"])
    np.testing.assert_array_equal(by_loops["gradient"], by_loops["guided"])
    assert by_loops["gradient"].any()


def test_only_the_gradient_is_a_derivative(lesson):
    errors = lesson(19).values["errors"]
    assert errors["gradient"] < 1e-7
    assert min(errors["deconvnet"], errors["guided"]) > 0.1


def test_every_answer_is_a_map_of_the_image(lesson):
    values = lesson(19).values
    assert list(values["answers"]) == ["gradient", "deconvnet", "guided", "occlusion"]
    for maps in (values["answers"], values["background"], *values["untrained"]):
        assert all(found.shape == (96, 96) and np.isfinite(found).all() for found in maps.values())
    assert len(values["untrained"]) == 3


def test_the_gradient_does_not_see_the_switch_that_moves(lesson):
    nineteen = lesson(19)
    slope, tiny, corner = (nineteen.values[name] for name in ("slope", "tiny", "corner"))
    np.testing.assert_array_equal(slope, [[1, 0], [0, 0]])
    before, after = (corner.values(tiny.forward(nineteen.values[name]))[0] for name in ("four", "raised"))
    nineteen.says("Raise it by 0.2 and the output falls from {:.0f} to {:.0f}", before, after)


def test_a_likeness_is_a_correlation_of_magnitudes(lesson):
    likeness = lesson(19).values["likeness"]
    one = np.random.default_rng(0).standard_normal((5, 6))
    assert np.isclose(likeness(one, -3 * one), 1)
    assert likeness(one, np.zeros((5, 6))) == 0
    other = np.random.default_rng(1).standard_normal((5, 6))
    assert np.isclose(likeness(one, other), np.corrcoef(abs(one).ravel(), abs(other).ravel())[0, 1])
