"""Photographs with an EXIF orientation: labels drawn on the upright photo and on the stored one give the same masks."""

import json

import numpy as np
import pytest
from PIL import Image, ImageOps

from scratchnet.data import open_dataset, read_image
from scratchnet.data.importing import read_export, write_export
from scratchnet.data.importing.orientation import turn_upright

H, W = 12, 20
BLOCKS = np.zeros((H, W), np.uint8)
BLOCKS[1:4, 2:9] = 1
BLOCKS[6:11, 14:18] = 2


def stored(upright, orientation):
    """The pixels that a camera stores for an upright picture, found by trying."""
    sides = upright.shape[1::-1] if orientation < 5 else upright.shape[:2]
    numbers = np.arange(sides[0] * sides[1], dtype=np.int32).reshape(sides[1], sides[0])
    turned = turn_upright(numbers, orientation)
    found = np.zeros((sides[1], sides[0], *upright.shape[2:]), upright.dtype)
    found.reshape(-1, *upright.shape[2:])[turned.ravel()] = upright.reshape(-1, *upright.shape[2:])
    return found


def photo(path, orientation):
    """A TIFF, which loses nothing, whose upright picture shows the blocks."""
    picture = np.repeat(BLOCKS[..., None] * 100, 3, axis=2).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(stored(picture, orientation)).save(path, tiffinfo={274: orientation})
    np.testing.assert_array_equal(read_image(path), picture)


def box(top, left, bottom, right):
    return [left, top, right, top, right, bottom, left, bottom]


def corners_of(mask, value):
    rows, columns = np.nonzero(mask == value)
    return box(int(rows.min()), int(columns.min()), int(rows.max()) + 1, int(columns.max()) + 1)


def coco(folder, orientation, labelled):
    """A COCO export whose polygons are those of the blocks in the ``labelled`` pixels."""
    photo(folder / "a.tif", orientation)
    h, w = labelled.shape
    content = {
        "images": [{"id": 1, "file_name": "a.tif", "height": h, "width": w}],
        "annotations": [
            {"image_id": 1, "category_id": value, "segmentation": [corners_of(labelled, value)]} for value in (1, 2)
        ],
        "categories": [{"id": 1, "name": "one"}, {"id": 2, "name": "two"}],
    }
    (folder / "export.json").write_text(json.dumps(content))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turning_is_what_pillow_does(orientation):
    image = Image.fromarray(BLOCKS)
    image.getexif()[274] = orientation
    np.testing.assert_array_equal(turn_upright(BLOCKS, orientation), np.array(ImageOps.exif_transpose(image)))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("shown", ["upright", "stored"])
def test_coco(tmp_path, orientation, shown):
    if shown == "stored" and orientation < 5:
        pytest.skip("the size does not tell")
    coco(tmp_path / "in", orientation, BLOCKS if shown == "upright" else stored(BLOCKS, orientation))
    report = write_export(read_export(tmp_path / "in"), tmp_path / "out")
    image, mask = open_dataset(tmp_path / "out").load(0)
    np.testing.assert_array_equal(mask, BLOCKS)
    np.testing.assert_array_equal(image[..., 0], BLOCKS * 100)
    numbers = np.array(Image.open(tmp_path / "out" / "objects" / "a.png"))
    np.testing.assert_array_equal(numbers, BLOCKS)
    assert "a,one,2,1,9,4" in (tmp_path / "out" / "boxes.csv").read_text()
    expected = "turned upright" if shown == "stored" else "do not tell" if 2 <= orientation <= 4 else ""
    assert bool(report.remarks) == bool(expected)
    assert all(expected in line for line in report.remarks)


def test_another_size_is_still_an_error(tmp_path):
    coco(tmp_path / "in", 6, np.pad(BLOCKS, 1))
    with pytest.raises(Exception, match="was labelled with 14×22"):
        write_export(read_export(tmp_path / "in"), tmp_path / "out")
