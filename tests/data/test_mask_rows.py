import numpy as np
import pytest

from scratchnet.data import read_mask
from scratchnet.data.mask_rows import write_mask_rows


@pytest.mark.parametrize("step", [1, 7, 40])
def test_masks_written_in_chunks_are_read_unchanged(step, tmp_path):
    mask = np.random.default_rng(0).integers(0, 4, (40, 31)).astype(np.uint8)
    write_mask_rows(tmp_path / "m.png", (mask[top : top + step] for top in range(0, 40, step)), mask.shape)
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png", classes=4), mask)


@pytest.mark.parametrize(
    ("shape", "dtype", "words"), [((3, 31), "u1", "5 rows"), ((5, 30), "u1", "31"), ((5, 31), "i4", "uint8")]
)
def test_wrong_chunks_leave_no_file(shape, dtype, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        write_mask_rows(tmp_path / "m.png", [np.zeros(shape, dtype)], (5, 31))
    assert not list(tmp_path.iterdir())
