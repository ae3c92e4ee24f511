import numpy as np
import pytest

from scratchnet.data import available_splits
from scratchnet.data.importing import read_export
from scratchnet.utils.errors import UserError
from tests.data.importing.test_formats import imported, save_image
from tests.data.importing.test_index_masks import save_grey


def test_ids_become_the_classes_of_the_benchmark(tmp_path):
    ids = np.zeros((5, 7), np.uint8)
    ids[0, :4] = 7, 33, 26, 30  # road, bicycle, car, trailer
    for split in ("train", "val", "test"):
        name = f"{split}/ulm/ulm_000000_000019"
        save_image(tmp_path / "leftImg8bit" / f"{name}_leftImg8bit.png")
        if split != "test":
            save_grey(tmp_path / "gtFine" / f"{name}_gtFine_labelIds.png", ids)
            save_grey(tmp_path / "gtFine" / f"{name}_gtFine_color.png", ids)
    with pytest.raises(UserError, match="classes of its own"):
        read_export(tmp_path, classes=("a", "b"))
    (tmp_path / "leftImg8bit/val/ulm/ulm_000000_000019_leftImg8bit.png").rename(
        tmp_path / "leftImg8bit/val/ulm/ulm_000001_000019_leftImg8bit.png"
    )
    report, dataset = imported(tmp_path, tmp_path / "out")
    assert dataset.names == ("ulm_000000_000019",)
    assert dataset.load(0)[1][0].tolist() == [0, 18, 13, 255, 255, 255, 255]
    assert (len(dataset.classes), dataset.classes[13]) == (19, "car")
    assert len(report.problems) == 1
    assert "ulm_000001" in report.problems[0]
    assert available_splits(tmp_path / "out") == ["train", "val"]
