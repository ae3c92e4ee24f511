import numpy as np
import pytest

from scratchnet.layers import Conv2d
from scratchnet.network import Network
from scratchnet.visualization.attribution import Unit, class_score
from tests.compare import numbers
from tests.visualization.attribution.nets import hourglass


def test_seed_and_value_are_one_element():
    maps = numbers(2, 3, 4, 5)
    unit = Unit(2, 1, 4, sign=-1)
    np.testing.assert_array_equal(unit.values(maps), -maps[:, 2, 1, 4])
    seed = unit.seed(maps)
    assert seed.sum() == -2
    assert (seed[:, 2, 1, 4] == -1).all()


@pytest.mark.parametrize("place", [(3, 0, 0), (0, 4, 0), (0, 0, 5), (-1, 0, 0)])
def test_a_unit_outside_the_map_is_refused(place):
    with pytest.raises(ValueError, match="outside of the map"):
        Unit(*place).values(numbers(1, 3, 4, 5))


def test_an_unknown_step_is_refused():
    with pytest.raises(ValueError, match="no step 'conv9'"):
        Unit(0, 0, 0, "conv9").step_of(hourglass())


def test_the_score_of_a_class():
    net = hourglass()
    assert class_score(net, (1, 2), 2, (4, 6)) == Unit(1, 2, 2)
    with pytest.raises(ValueError, match="classes 0 to 2, not 3"):
        class_score(net, (1, 2), 3, (4, 6))
    with pytest.raises(ValueError, match=r"4×6 pixels; \(4, 2\) is outside"):
        class_score(net, (4, 2), 0, (4, 6))


def test_one_map_of_scores_speaks_for_two_classes():
    net = Network(1)
    net.add("score", Conv2d(1, 1, 1))
    assert class_score(net, (0, 0), 1, (3, 3)) == Unit(0, 0, 0)
    assert class_score(net, (0, 0), 0, (3, 3)) == Unit(0, 0, 0, sign=-1)
