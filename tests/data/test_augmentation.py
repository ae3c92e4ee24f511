from dataclasses import fields

import numpy as np
import pytest

from scratchnet.arrays import Array, generator
from scratchnet.data import Augmentation, augment
from scratchnet.data.augmentation import Pair


def sample(height: int = 24, width: int = 32, seed: int = 0) -> Pair:
    """An image whose channels repeat the mask, so that they can be compared after any move."""
    mask = np.zeros((height, width), np.uint8)
    rng = np.random.default_rng(seed)
    top, left = rng.integers(0, height // 2), rng.integers(0, width // 2)
    mask[top : top + height // 2, left : left + width // 3] = 2
    return np.repeat(mask[:, :, None], 3, axis=2) * 100, mask


def changed(augmentation: Augmentation, seed: int = 0, pair: Pair | None = None) -> Pair:
    image, mask = pair or sample()
    return augment(image, mask, generator(seed), augmentation, lambda rng: sample(seed=int(rng.integers(100))))


def agree(image: Array, mask: Array) -> float:
    return float(((image[:, :, 0] > 100) == (mask == 2)).mean())


def test_defaults_change_nothing() -> None:
    for result, given in zip(changed(Augmentation()), sample(), strict=True):
        assert np.array_equal(result, given)


@pytest.mark.parametrize(
    "augmentation",
    [
        Augmentation(flip_horizontal=True),
        Augmentation(flip_vertical=True),
        Augmentation(rotate90=True),
        Augmentation(crop=(10, 12)),
        Augmentation(crop=(40, 50)),
        Augmentation(rotate90=True, crop=(20, 28)),
        Augmentation(mosaic=1.0),
    ],
)
def test_whole_pixel_moves_keep_image_and_mask_together(augmentation: Augmentation) -> None:
    results = [changed(augmentation, seed) for seed in range(12)]
    for image, mask in results:
        assert mask.shape == (augmentation.crop or (24, 32))
        assert np.array_equal(image, np.repeat(mask[:, :, None], 3, axis=2) * 100)
        assert image.flags.c_contiguous
    assert any(not np.array_equal(image, sample()[0]) for image, _ in results)


@pytest.mark.parametrize("crop", [None, (20, 20)])
def test_scaling_keeps_size_labels_and_places(crop: tuple[int, int] | None) -> None:
    for seed in range(12):
        image, mask = changed(Augmentation(scale=(0.4, 2.5), crop=crop), seed)
        assert mask.shape == (crop or (24, 32))
        assert set(np.unique(mask)) <= {0, 2}
        assert agree(image, mask) > 0.9


def test_flips_and_turns_reach_every_position() -> None:
    pair = sample(8, 8)
    seen = {changed(Augmentation(True, True, True), seed, pair)[1].tobytes() for seed in range(100)}
    expected = {np.rot90(mask, turns).tobytes() for mask in (pair[1], pair[1][::-1]) for turns in range(4)}
    assert seen == expected


def test_mosaic_shows_several_samples() -> None:
    plain = np.zeros((24, 32, 3), np.uint8), np.full((24, 32), 7, np.uint8)
    values = [set(np.unique(changed(Augmentation(mosaic=1.0), seed, plain)[1])) for seed in range(5)]
    assert all(7 in value for value in values)
    assert any(len(value) > 1 for value in values)
    rare = [changed(Augmentation(mosaic=0.3), seed, plain)[1].min() == 7 for seed in range(60)]
    assert 25 < sum(rare) < 58


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "hue", "noise", "stain"])
def test_colour_changes_leave_the_mask(name: str) -> None:
    rng = np.random.default_rng(1)
    pair = rng.integers(40, 200, (16, 16, 3)).astype(np.uint8), np.ones((16, 16), np.uint8)
    differences = []
    for seed in range(6):
        image, mask = changed(Augmentation(**{name: 0.1}), seed, pair)  # type: ignore[arg-type]
        assert np.array_equal(mask, pair[1])
        assert image.dtype == np.uint8
        differences.append(np.abs(image.astype(int) - pair[0]).mean())
    assert 0 < max(differences) < 40


def test_colours_mean_what_they_say() -> None:
    rng = np.random.default_rng(1)
    pair = rng.integers(60, 180, (64, 64, 3)).astype(np.uint8), np.ones((64, 64), np.uint8)
    grey_weights = np.array([0.299, 0.587, 0.114])
    before = pair[0] @ grey_weights
    for seed in range(4):
        brighter = changed(Augmentation(brightness=0.3), seed, pair)[0] @ grey_weights
        ratio = brighter / before
        assert ratio.std() < 0.01
        assert abs(ratio.mean() - 1) < 0.31
        contrasted = changed(Augmentation(contrast=0.3), seed, pair)[0] @ grey_weights
        assert contrasted.mean() == pytest.approx(before.mean(), abs=0.5)
        for colour_only in (Augmentation(saturation=0.3), Augmentation(hue=0.05)):
            assert changed(colour_only, seed, pair)[0] @ grey_weights == pytest.approx(before, abs=1.5)
    noisy = changed(Augmentation(noise=0.02), 0, pair)[0].astype(float) - pair[0]
    assert noisy.std() == pytest.approx(0.02 * 255, rel=0.05)


def test_random_colours_reach_every_hue_and_grey_in_their_share_of_the_samples() -> None:
    pair = np.full((8, 8, 3), (130, 110, 105), np.uint8), np.ones((8, 8), np.uint8)
    colour_axes = np.array([0.596, -0.274, -0.322]) + 1j * np.array([0.211, -0.523, 0.312])
    ratios = []
    for seed in range(200):
        image, mask = changed(Augmentation(random_colours=0.5, hue=0.01), seed, pair)
        assert mask.all()
        assert image @ np.array([0.299, 0.587, 0.114]) == pytest.approx(115.4, abs=1.5)
        ratios.append((image[0, 0] @ colour_axes) / (np.array([130, 110, 105]) @ colour_axes))
    kept = np.array([abs(abs(ratio) - 1) < 0.06 and abs(np.angle(ratio)) < 0.12 for ratio in ratios])
    assert 80 < kept.sum() < 125
    others = np.array(ratios)[~kept]
    assert all(np.histogram(np.angle(others), 6, (-np.pi, np.pi))[0] >= 5)
    assert abs(others).min() < 0.2
    assert 1.8 < abs(others).max() < 2.1


def test_empty_keeps_only_what_lies_beside_the_objects() -> None:
    image = np.full((32, 32, 3), 10, np.uint8)
    mask = np.zeros((32, 32), np.uint8)
    image[10:20, 12:22], mask[10:20, 12:22] = 200, 1
    for seed in range(12):
        got, labels = changed(Augmentation(background_crops=1.0), seed, (image, mask))
        assert got.shape == image.shape
        assert labels.max() == 0
        assert got.max() == 10
    some = [changed(Augmentation(background_crops=0.5), seed, (image, mask))[1].any() for seed in range(60)]
    assert 15 < sum(some) < 45


def test_empty_leaves_an_image_that_is_all_object() -> None:
    mask = np.ones((16, 16), np.uint8)
    assert changed(Augmentation(background_crops=1.0), 0, (np.zeros((16, 16, 3), np.uint8), mask))[1].all()


def test_black_borders_are_background_after_all_changes_of_colour() -> None:
    pair = np.full((32, 32, 3), 200, np.uint8), np.ones((32, 32), np.uint8)
    sure = [changed(Augmentation(black_border=1.0, brightness=0.1, stain=0.1), seed, pair) for seed in range(20)]
    assert sum(not mask.all() for _, mask in sure) > 15
    for image, mask in sure:
        assert mask.mean() > 0.3
        assert mask.all() or image[mask == 0].mean() < image[mask == 1].mean()
    some = [not changed(Augmentation(black_border=0.5), seed, pair)[1].all() for seed in range(60)]
    assert 15 < sum(some) < 45


def test_some_samples_keep_their_stain_and_their_light() -> None:
    white, grey = np.full((16, 16, 3), 255, np.uint8), np.full((16, 16, 3), 120, np.uint8)
    mask = np.ones((16, 16), np.uint8)
    results = [[changed(Augmentation(stain=0.3), seed, (image, mask))[0] for image in (white, grey)]
               for seed in range(120)]  # fmt: skip
    other_light = [not np.array_equal(image, white) for image, _ in results]
    unchanged = [np.array_equal(image, grey) for _, image in results]
    assert 60 < sum(other_light) < 100
    assert 8 < sum(unchanged) < 34


def test_same_generator_same_result() -> None:
    strengths = {f.name: 0.3 for f in fields(Augmentation) if f.type is float}
    everything = Augmentation(True, True, True, (16, 16), (0.5, 2.0), **strengths)
    for seed in range(8):
        for first, second in zip(changed(everything, seed), changed(everything, seed), strict=True):
            assert np.array_equal(first, second)


def test_balanced_crops_show_every_class_of_the_image_equally_often() -> None:
    """One pixel in 1,600 is of class 2: a plain crop of 8×8 pixels shows it once in 25 draws or less."""
    mask = np.zeros((40, 40), np.uint8)
    mask[:, 20:], mask[3, 39], mask[0, 0] = 1, 2, 255
    pair = np.repeat(mask[:, :, None], 3, axis=2), mask
    shown = {
        strength: np.mean([(changed(Augmentation(crop=(8, 8), balanced_crops=strength), n, pair)[1] == 2).any()
                           for n in range(200)])
        for strength in (0.0, 1.0)
    }  # fmt: skip
    assert shown[0.0] < 0.05
    assert 0.25 < shown[1.0] < 0.45
    for seed in range(20):
        image, cropped = changed(Augmentation(crop=(50, 8), balanced_crops=1.0), seed, pair)
        assert cropped.shape == (50, 8)
        assert np.array_equal(image[:, :, 0], cropped)


def test_balanced_crops_of_an_image_that_is_ignored() -> None:
    nothing = np.full((12, 12), 255, np.uint8)
    image = np.zeros((12, 12, 3), np.uint8)
    assert (changed(Augmentation(crop=(4, 4), balanced_crops=1.0), 0, (image, nothing))[1] == 255).all()
