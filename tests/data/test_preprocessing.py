import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from scratchnet.data import Preprocessing, fit_preprocessing, open_dataset, resize_image


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, 6, 8, 3)).astype(np.uint8)


def test_dataset_figures_match_numpy(make_folder: Callable[..., Path]) -> None:
    dataset = open_dataset(make_folder())
    pixels = np.concatenate([dataset.load(index)[0].reshape(-1, 3) for index in range(4)]) / 255
    measured = fit_preprocessing(dataset)
    assert measured.normalization == "dataset"
    assert measured.mean == pytest.approx(pixels.mean(axis=0))
    assert measured.std == pytest.approx(pixels.std(axis=0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dataset_normalization(images: np.ndarray, dtype: type) -> None:
    x = Preprocessing("dataset", (0.1, 0.2, 0.3), (0.5, 0.25, 0.125)).apply(images, dtype)
    assert x.dtype == dtype
    expected = (images / 255 - np.array([0.1, 0.2, 0.3])) / np.array([0.5, 0.25, 0.125])
    assert x == pytest.approx(expected, abs=1e-5)


def test_image_normalization_forgets_lighting(images: np.ndarray) -> None:
    preprocessing = Preprocessing("image")
    x = preprocessing.apply(images, np.float64)
    assert x.mean(axis=(1, 2)) == pytest.approx(np.zeros((3, 3)), abs=1e-9)
    assert x.std(axis=(1, 2)) == pytest.approx(np.ones((3, 3)))
    dark = images // 2 * 2
    assert preprocessing.apply(dark // 2, np.float64) == pytest.approx(preprocessing.apply(dark, np.float64))


def test_a_flat_channel_takes_the_mean_of_the_others(images: np.ndarray) -> None:
    flat = images.copy()
    flat[0, :, :, 1] = 77
    flat[1, :, :, :2] = 5
    x, whole = (Preprocessing("image").apply(batch, np.float64) for batch in (flat, images))
    np.testing.assert_allclose(x[0, :, :, 1], (whole[0, :, :, 0] + whole[0, :, :, 2]) / 2)
    np.testing.assert_array_equal(x[0, :, :, ::2], whole[0, :, :, ::2])
    np.testing.assert_allclose(x[1], np.repeat(whole[1, :, :, 2:], 3, axis=2))
    assert Preprocessing("image").apply(flat, np.float32).dtype == np.float32


def test_flat_images_stay_finite() -> None:
    flat = np.full((1, 4, 4, 3), 77, np.uint8)
    assert np.abs(Preprocessing("image").apply(flat)).max() < 1e-3


def test_what_weights_from_elsewhere_expect(images: np.ndarray, make_folder: Callable[..., Path]) -> None:
    """Simonyan and Zisserman's weights know blue, green, red from 0 to 255; torchvision's the range of ImageNet."""
    dataset = open_dataset(make_folder())
    x = fit_preprocessing(dataset, "torchvision").apply(images)
    assert x[1, 2, 3, 0] == pytest.approx((images[1, 2, 3, 0] / 255 - 0.485) / 0.229, abs=1e-5)
    assert x[1, 2, 3, 2] == pytest.approx((images[1, 2, 3, 2] / 255 - 0.406) / 0.225, abs=1e-5)
    x = fit_preprocessing(dataset, "caffe").apply(images)
    assert x == pytest.approx(images[..., ::-1] - np.array([104.008, 116.669, 122.675]), abs=1e-4)
    assert x.flags.c_contiguous


def test_none_is_the_range_zero_to_one(images: np.ndarray) -> None:
    assert Preprocessing("none").apply(images) == pytest.approx(images / 255, abs=1e-6)


def test_resize_and_input_stays_untouched(images: np.ndarray) -> None:
    before = images.copy()
    x = Preprocessing("none", resize=(12, 10)).apply(images)
    assert x.shape == (3, 12, 10, 3)
    assert x[1] == pytest.approx(resize_image(images[1], (12, 10)) / 255, abs=1e-6)
    assert np.array_equal(images, before)


def test_survives_json(make_folder: Callable[..., Path]) -> None:
    for preprocessing in (
        fit_preprocessing(open_dataset(make_folder()), resize=(4, 5)),
        fit_preprocessing(open_dataset(make_folder(root="again")), "image"),
        Preprocessing("none"),
    ):
        assert Preprocessing.from_dict(json.loads(json.dumps(preprocessing.to_dict()))) == preprocessing


def test_only_bytes_are_taken(images: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8"):
        Preprocessing().apply(images.astype(np.float32))


def test_statistics_of_a_large_image_are_exact():
    """Sums in float32 over millions of pixels are off by per cents, since a large sum loses small additions."""
    image = np.zeros((1, 1, 2_000_000, 3), np.uint8)
    image[..., 0] = 255
    image[0, 0, -200_000:, 0] = 0
    image[0, 0, ::2, 1:] = 200
    x = Preprocessing("image").apply(image)
    np.testing.assert_allclose(x.mean(axis=(0, 1, 2), dtype=np.float64), 0, atol=2e-7)
    np.testing.assert_allclose(x.std(axis=(0, 1, 2), dtype=np.float64), 1, rtol=2e-7)
