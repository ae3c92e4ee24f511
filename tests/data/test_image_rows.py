import numpy as np
import pytest
from PIL import Image

from scratchnet.data import read_image
from scratchnet.data.image_rows import ImageRows, open_rows
from tests.tiny import sample

PHOTO = Image.fromarray(sample(0, 23, 31)[0])
DEEP = Image.fromarray((np.arange(23 * 31, dtype=np.uint16) * 90).reshape(23, 31))
FORMS = {
    "rgb.png": PHOTO,
    "grey.png": PHOTO.convert("L"),
    "palette.png": PHOTO.quantize(9),
    "clear.png": Image.merge("RGBA", [*PHOTO.split(), PHOTO.getchannel(0)]),
    "bits.png": PHOTO.convert("1"),
    "deep.png": DEEP,
    "deep.tif": DEEP,
    "photo.tif": PHOTO,
    "photo.jpg": PHOTO,
    "photo.webp": PHOTO,
}


def in_rows(image, step):
    return np.concatenate([image.rows(top, min(top + step, image.height)) for top in range(0, image.height, step)])


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", FORMS)
def test_rows_are_those_of_the_image(name, orientation, tmp_path):
    exif = Image.Exif()
    exif[274] = orientation
    FORMS[name].save(tmp_path / name, exif=exif)
    expected = read_image(tmp_path / name, (0, 50000))
    image = open_rows(tmp_path / name, (0, 50000))
    assert (image.height, image.width) == expected.shape[:2]
    np.testing.assert_array_equal(in_rows(image, 7), expected)


def test_an_image_in_memory_has_rows_too():
    image = np.array(PHOTO)
    np.testing.assert_array_equal(in_rows(ImageRows.from_array(image), 5), image)
