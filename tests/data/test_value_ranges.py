"""Images of more than 8 bits, whose scale is declared."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scratchnet.data import Preprocessing, check_dataset, open_dataset, read_image, write_mask
from scratchnet.utils.errors import UserError
from tests.data.encodings import encoded, tiff

VALUES = np.array([[0, 100, 200, 300], [400, 500, 600, 65535]], np.uint16)
EXPECTED = np.array([[0, 0, 64, 128], [191, 255, 255, 255]])

FORMS = {
    "PNG": encoded(Image.fromarray(VALUES), "PNG"),
    "TIFF": tiff(4, 2, VALUES.astype("<u2").tobytes(), bits=16),
    "big-endian TIFF": encoded(Image.frombytes("I;16B", (4, 2), VALUES.astype(">u2").tobytes()), "TIFF"),
    "LZW TIFF": encoded(Image.fromarray(VALUES), "TIFF", compression="tiff_lzw"),
    "32-bit TIFF": tiff(4, 2, VALUES.astype("<u4").tobytes(), bits=32),
    "large 32-bit TIFF": tiff(4, 2, np.where(VALUES > 600, 2**32 - 1, VALUES).astype("<u4").tobytes(), bits=32),
    "signed 32-bit TIFF": tiff(4, 2, VALUES.astype("<i4").tobytes(), bits=32, sampleformat=2),
    "float TIFF": tiff(4, 2, VALUES.astype("<f4").tobytes(), bits=32, sampleformat=3),
    "PGM": b"P5 4 2 65535\n" + VALUES.astype(">u2").tobytes(),
    "PGM up to 1000": b"P5 4 2 1000\n" + np.minimum(VALUES, 1000).astype(">u2").tobytes(),
}


@pytest.mark.parametrize("form", FORMS)
def test_values_are_scaled_as_declared(tmp_path: Path, form: str) -> None:
    (tmp_path / "x.img").write_bytes(FORMS[form])
    image = read_image(tmp_path / "x.img", (100, 500))
    assert (image.shape, image.dtype) == ((2, 4, 3), np.uint8)
    assert np.array_equal(image, np.repeat(EXPECTED[..., None], 3, axis=2))
    with pytest.raises(UserError, match=r"x\.img: .*expected 8-bit grey or RGB; say with value_range=\(low, high\)"):
        read_image(tmp_path / "x.img")


def test_white_may_be_zero(tmp_path: Path) -> None:
    (tmp_path / "x.tif").write_bytes(tiff(4, 2, VALUES.astype("<u2").tobytes(), bits=16, photometric=0))
    assert np.array_equal(read_image(tmp_path / "x.tif", (100, 500))[..., 0], 255 - EXPECTED)


def test_images_of_8_bits_stay_as_they_are(tmp_path: Path) -> None:
    Image.fromarray(np.array([[7, 200]], np.uint8)).save(tmp_path / "x.png")
    assert read_image(tmp_path / "x.png", (0, 4095))[0, :, 0].tolist() == [7, 200]


def test_values_that_are_not_finite(tmp_path: Path) -> None:
    data = np.array([[0, np.nan]], "<f4").tobytes()
    (tmp_path / "x.tif").write_bytes(tiff(2, 1, data, bits=32, sampleformat=3))
    with pytest.raises(UserError, match="not finite"):
        read_image(tmp_path / "x.tif", (0, 1))


def test_sets_and_preprocessing_keep_the_range(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for name in "ab":
        Image.fromarray(VALUES).save(tmp_path / "images" / f"{name}.png")
        write_mask(tmp_path / "masks" / f"{name}.png", np.eye(2, 4, dtype=np.uint8))
    dataset = open_dataset(tmp_path, classes=2, value_range=(100, 500))
    assert np.array_equal(dataset.load(1)[0][..., 0], EXPECTED)
    assert check_dataset(tmp_path, classes=2, value_range=(100, 500)).ok
    assert not check_dataset(tmp_path, classes=2).ok
    made = Preprocessing(range=(100, 500))
    assert Preprocessing.from_dict(made.to_dict()) == made
    for wrong in ((5, 5), (1, 2, 3), (0, float("inf"))):
        with pytest.raises(ValueError, match="not a range"):
            Preprocessing.from_dict({**made.to_dict(), "range": list(wrong)})
