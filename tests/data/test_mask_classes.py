import numpy as np
import pytest

from scratchnet.data import write_mask
from scratchnet.data.mask_classes import stated_classes
from scratchnet.data.mask_rows import write_mask_rows

NAMES = ("Hintergrund", "große Zelle", "細胞", 'a "quoted" name')
MASK = np.arange(12, dtype=np.uint8).reshape(3, 4) % 4


def test_names_come_back(tmp_path):
    write_mask(tmp_path / "a.png", MASK, "mask", classes=NAMES)
    write_mask_rows(tmp_path / "b.png", [MASK], MASK.shape, "mask", classes=NAMES)
    assert stated_classes([tmp_path / "a.png", tmp_path / "b.png"]) == NAMES


def test_masks_that_disagree_state_nothing(tmp_path):
    write_mask(tmp_path / "a.png", MASK, classes=NAMES)
    write_mask(tmp_path / "b.png", MASK)
    write_mask(tmp_path / "c.png", MASK, classes=("x", "y", "z", "w"))
    assert stated_classes([tmp_path / "a.png", tmp_path / "b.png"]) is None
    assert stated_classes([tmp_path / "a.png", tmp_path / "c.png"]) is None
    assert stated_classes([tmp_path / "missing.png"]) is None


@pytest.mark.parametrize("text", ["[", "[1, 2]", "{}", '["one"]', '["a", ""]', "null"])
def test_another_programs_text_is_not_a_list_of_names(tmp_path, monkeypatch, text):
    monkeypatch.setattr("scratchnet.data.masks.classes_text", lambda classes: text)
    write_mask(tmp_path / "a.png", MASK, classes=NAMES)
    assert stated_classes([tmp_path / "a.png"]) is None
