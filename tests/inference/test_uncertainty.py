import numpy as np
import pytest

from scratchnet.inference.uncertainty import RunningMaps, SampledPredictor, entropy


class Given:
    """Passes whose probabilities are given."""

    def __init__(self, *passes):
        self.passes = [np.asarray(p, np.float32).reshape(1, -1, 2) for p in passes]

    def sample(self, image, number, name=""):
        return self.passes[number]

    def check(self, image, name=""):
        pass

    def words(self, samples):
        return ""


def maps_of(*passes):
    width = np.asarray(passes[0]).size // 2
    return SampledPredictor(Given(*passes), len(passes)).maps(np.zeros((1, width, 3), np.uint8))


def test_entropy_by_hand():
    p = np.array([[1.0, 0.0], [0.5, 0.5], [0.25, 0.75]])
    np.testing.assert_allclose(entropy(p), [0, np.log(2), 0.25 * np.log(4) + 0.75 * np.log(4 / 3)], atol=1e-12)


def test_passes_that_agree_have_entropy_but_no_mutual_information():
    found = maps_of([0.5, 0.5], [0.5, 0.5])
    np.testing.assert_allclose(found.entropy, np.log(2), rtol=1e-6)
    np.testing.assert_allclose(found.mutual_information, 0, atol=1e-6)
    np.testing.assert_allclose(found.variance, 0, atol=1e-9)


def test_passes_that_contradict_each_other_have_all_their_entropy_as_mutual_information():
    found = maps_of([1, 0], [0, 1])
    np.testing.assert_allclose(found.mean, 0.5)
    np.testing.assert_allclose(found.entropy, np.log(2), rtol=1e-6)
    np.testing.assert_allclose(found.mutual_information, np.log(2), rtol=1e-6)
    np.testing.assert_allclose(found.variance, 0.25)
    np.testing.assert_allclose(found.deviation(), 0.5)


def test_the_deviation_is_that_of_the_most_probable_class():
    passes = np.array([[0.7, 0.2, 0.1], [0.7, 0.1, 0.2]], np.float32).reshape(2, 1, 1, 3)
    running = RunningMaps(1, 1, 3)
    for one in passes:
        running.add(one)
    np.testing.assert_allclose(running.result().deviation(), 0, atol=1e-6)
    np.testing.assert_allclose(running.result().variance[0, 0, 1], 0.05**2, rtol=1e-4)


def test_the_running_sums_are_the_mean_and_the_variance():
    rng = np.random.default_rng(0)
    passes = rng.dirichlet([1, 2, 3], (50, 4, 5)).astype(np.float32)
    running = RunningMaps(4, 5, 3)
    for one in passes:
        running.add(one)
    found = running.result()
    exact = passes.astype(np.float64)
    np.testing.assert_allclose(found.mean, exact.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(found.variance, exact.var(axis=0), atol=1e-6)
    information = entropy(exact.mean(axis=0)) - entropy(exact).mean(axis=0)
    np.testing.assert_allclose(found.mutual_information, information, atol=1e-5)
    assert (found.mutual_information > 0).all()


def test_nearly_equal_passes_do_not_get_a_negative_variance_or_information():
    """Subtracting the square of the mean from the mean of squares would, in float32."""
    passes = [[0.9 + 1e-4 * k, 0.1 - 1e-4 * k] for k in (0, 1, 2)]
    found = maps_of(*passes)
    np.testing.assert_allclose(found.variance, np.var([0, 1e-4, 2e-4]), rtol=1e-2)
    assert (found.mutual_information >= 0).all()


@pytest.mark.parametrize("samples", [0, 1, 1001])
def test_numbers_of_passes_out_of_range(samples):
    with pytest.raises(ValueError, match="expected 2 to 1000 passes"):
        SampledPredictor(Given([1, 0]), samples)


def test_no_pass_has_no_maps():
    with pytest.raises(ValueError, match="add at least one"):
        RunningMaps(1, 1, 2).result()


def test_probabilities_are_the_means():
    predictor = SampledPredictor(Given([1, 0, 0.5, 0.5], [0, 1, 0.5, 0.5]), 2)
    found = predictor.probabilities(np.zeros((3, 1, 2, 3), np.uint8))
    assert found.shape == (3, 1, 2, 2)
    np.testing.assert_allclose(found, 0.5)
