from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from scratchnet.data import write_image, write_mask

MakeFolder = Callable[..., Path]


@pytest.fixture
def make_folder(tmp_path: Path) -> MakeFolder:
    """Write a small set in the layout `folder`: names, two classes, all images of one size."""

    def make(names: str = "abcd", size: tuple[int, int] = (6, 8), root: str = "set") -> Path:
        rng = np.random.default_rng(0)
        for name in names:
            mask = rng.integers(0, 2, size).astype(np.uint8)
            mask[0, 0], mask[0, 1] = 0, 1
            write_image(tmp_path / root / "images" / f"{name}.png", rng.integers(0, 256, (*size, 3)).astype(np.uint8))
            write_mask(tmp_path / root / "masks" / f"{name}.png", mask)
        (tmp_path / root / "classes.txt").write_text("background\ncell\n")
        return tmp_path / root

    return make
