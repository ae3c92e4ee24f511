import numpy as np
import pytest

from scratchnet.inference.suggestions import colour_histogram, suggest

ONE, OTHER = np.eye(4)[0], np.eye(4)[1]


def test_a_histogram_counts_colours_and_not_positions():
    image = np.random.default_rng(0).integers(0, 256, (6, 7, 3), dtype=np.uint8)
    found = colour_histogram(image)
    assert found.shape == (512,)
    assert found.sum() == pytest.approx(1)
    np.testing.assert_array_equal(found, colour_histogram(np.ascontiguousarray(image[::-1, ::-1])))
    plain = np.full((2, 2, 3), (255, 0, 32), np.uint8)
    plain[0, 0] = 0
    assert colour_histogram(plain)[(7 * 8 + 0) * 8 + 1] == 0.75


def test_a_duplicate_of_a_chosen_image_comes_last():
    assert suggest([3.0, 2.9, 1.0], [ONE, ONE, OTHER], 3) == [(0, 0.0), (2, 0.0), (1, 1.0)]


def test_images_of_other_colours_are_ranked_by_their_score():
    assert [place for place, _ in suggest([0.1, 0.4, 0.3], np.eye(3), 2)] == [1, 2]


def test_an_image_that_is_merely_alike_keeps_most_of_its_score():
    """0.7⁴ is 0.24: of a score of 1, 0.76 is left, of which the third image has more or less."""
    alike = np.array([0.7, 0.0, 0.3, 0.0])
    for third, order in ((0.75, [0, 1, 2]), (0.77, [0, 2, 1])):
        found = suggest([2.0, 1.0, third], [ONE, alike, OTHER], 3)
        assert [place for place, _ in found] == order
    assert found[2].similarity == pytest.approx(0.7)


def test_the_similarity_is_to_the_most_similar_image_and_not_to_the_last():
    found = suggest([3.0, 2.0, 1.0], [ONE, OTHER, ONE], 3)
    assert found == [(0, 0.0), (1, 0.0), (2, 1.0)]


def test_more_than_there_are_and_none():
    assert len(suggest([1.0], [ONE], 5)) == 1
    assert suggest([], [], 5) == []
    assert [place for place, _ in suggest([0.0, 0.0], [ONE, OTHER], 2)] == [0, 1]
