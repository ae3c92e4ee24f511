import numpy as np

from scratchnet.visualization.attribution.signed_colours import NEGATIVE, POSITIVE, limit_of, signed_picture

WHITE = np.full((1, 3, 3), 255, np.uint8)


def test_the_sign_is_the_colour_and_the_magnitude_its_strength():
    picture = signed_picture(np.array([[-2.0, 0.0, 1.0]]), WHITE, 2.0)
    assert tuple(picture[0, 0]) == NEGATIVE
    assert tuple(picture[0, 1]) == (255, 255, 255)
    np.testing.assert_array_equal(picture[0, 2], np.rint((np.array(POSITIVE) + 255) / 2))


def test_the_photograph_shows_through_where_the_map_is_0():
    photo = np.array([[[0, 0, 0], [255, 255, 255], [90, 0, 0]]], np.uint8)
    picture = signed_picture(np.zeros((1, 3)), photo)
    assert picture[0, 0, 0] < picture[0, 2, 0] < picture[0, 1, 0]
    assert (picture.max(axis=2) == picture.min(axis=2)).all()


def test_one_extreme_pixel_does_not_hide_the_others():
    values = np.ones((40, 40))
    values[3, 4] = -1000
    assert limit_of(values) == 1
    only = np.zeros((40, 40))
    only[3, 4] = -5
    assert limit_of(only) == 5
    assert limit_of(np.zeros((2, 2))) == 0
