import numpy as np
import pytest

from scratchnet.inference import DenseCrf, crf
from scratchnet.ops.activation import softmax


def exact(image, probabilities, field):
    """Mean field with every pair of pixels."""
    h, w, classes = probabilities.shape
    places = np.stack(np.mgrid[:h, :w], axis=-1).reshape(-1, 2).astype(float)
    colours = image.reshape(-1, 3).astype(float)
    near = ((places[:, None] - places[None]) ** 2).sum(axis=-1)
    alike = ((colours[:, None] - colours[None]) ** 2).sum(axis=-1)
    (pixels, smooth), (reach, levels, weight) = field.gaussian, field.bilateral
    kernels = []
    for kernel, strength in (
        (np.exp(-near / (2 * pixels**2)), smooth),
        (np.exp(-near / (2 * reach**2) - alike / (2 * levels**2)), weight),
    ):
        kernels.append(strength * kernel / kernel.sum(axis=1, keepdims=True))
    opinion = np.log(np.maximum(probabilities, 1e-8)).reshape(-1, classes).astype(float)
    belief = softmax(opinion)
    for _ in range(field.iterations):
        belief = softmax(opinion + sum(kernels) @ belief)
    return belief.reshape(h, w, classes)


def picture(seed, h=30, w=32, noise=4):
    """Three regions of different colours with noise, and uncertain probabilities of what they are."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:h, :w]
    truth = (y + 0.4 * x > 21).astype(int) + (np.hypot(y - 10, x - 22) < 6)
    image = np.array([[60, 90, 160], [150, 120, 70], [200, 60, 90]])[truth] + noise * rng.standard_normal((h, w, 3))
    scores = 1.2 * np.eye(3)[truth] + rng.standard_normal((h, w, 3))
    return np.clip(image, 0, 255).astype(np.uint8), softmax(scores).astype(np.float32), truth


@pytest.mark.parametrize(
    "field",
    [
        DenseCrf(),
        DenseCrf(bilateral=(20, 13, 10)),
        DenseCrf(gaussian=(1, 0)),
        DenseCrf(bilateral=(8, 30, 4), iterations=3),
    ],
    ids=str,
)
@pytest.mark.parametrize("seed", range(2))
def test_close_to_exact_sums(field, seed):
    image, probabilities, _ = picture(seed)
    found, expected = field.refine(image, probabilities), exact(image, probabilities, field)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.sum(axis=-1), 1, atol=1e-5)
    assert np.abs(found - expected).mean() < 0.01
    assert (found.argmax(axis=-1) != expected.argmax(axis=-1)).mean() < 0.02
    assert (probabilities.argmax(axis=-1) != expected.argmax(axis=-1)).mean() > 0.1


def test_the_smoothness_kernel_is_exact():
    field = DenseCrf(gaussian=(2.5, 4), bilateral=(20, 3, 0))
    image, probabilities, _ = picture(3)
    np.testing.assert_allclose(field.refine(image, probabilities), exact(image, probabilities, field), atol=2e-5)


@pytest.mark.parametrize("flipped", [False, True])
def test_the_appearance_kernel_is_as_wide_as_it_is_high(flipped):
    """On a plain image it is a Gaussian of places alone, 3 pixels wide here."""
    field = DenseCrf(gaussian=(1, 0), bilateral=(3, 20, 6), iterations=4)
    _, probabilities, _ = picture(8, 20, 36)
    image = np.full((20, 36, 3), 100, np.uint8)
    if flipped:
        image, probabilities = image.transpose(1, 0, 2), probabilities.transpose(1, 0, 2)
    found, expected = field.refine(image, probabilities), exact(image, probabilities, field)
    assert np.abs(found - expected).mean() < 0.01


def test_labels_follow_the_colours():
    image, probabilities, truth = picture(4)
    before = (probabilities.argmax(axis=-1) == truth).mean()
    after = (DenseCrf(bilateral=(20, 13, 5)).refine(image, probabilities).argmax(axis=-1) == truth).mean()
    assert before < 0.8
    assert after > 0.97


def test_without_weights_nothing_changes():
    image, probabilities, _ = picture(5)
    field = DenseCrf(gaussian=(3, 0), bilateral=(20, 3, 0))
    np.testing.assert_allclose(field.refine(image, probabilities), probabilities, atol=1e-6)


def test_certainty_stays_finite():
    image, _, truth = picture(6)
    found = DenseCrf().refine(image, np.eye(3, dtype=np.float32)[truth])
    assert np.isfinite(found).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1)])
def test_thin_images(size):
    image = np.full((*size, 3), 80, np.uint8)
    found = DenseCrf().refine(image, np.full((*size, 2), 0.5, np.float32))
    np.testing.assert_allclose(found, 0.5, atol=1e-5)


def test_large_images_are_refined_in_tiles(monkeypatch):
    image, probabilities, _ = picture(7, 50, 120)
    whole = DenseCrf(gaussian=(2, 3), bilateral=(4, 13, 3)).refine(image, probabilities)
    seen = []
    refine = DenseCrf._refine
    monkeypatch.setattr(DenseCrf, "_refine", lambda self, i, p: seen.append(i.shape[:2]) or refine(self, i, p))
    monkeypatch.setattr(crf, "TILE", 64)
    monkeypatch.setattr(crf, "OVERLAP", 32)
    tiles = DenseCrf(gaussian=(2, 3), bilateral=(4, 13, 3)).refine(image, probabilities)
    assert seen == [(50, 64)] * 3
    assert tiles.shape == whole.shape
    assert np.abs(tiles - whole).mean() < 0.01
