"""The network of the front page: small, trained, and run by the live page on an image that it has not seen."""

import sys

import numpy as np
import pytest
from PIL import Image

from scratchnet.data import read_image, write_generated
from scratchnet.inference import Segmenter
from scratchnet.training.checkpoints import load_checkpoint
from tests.lessons.conftest import FOLDER


@pytest.fixture(scope="module")
def front_page():
    """Return the extension that writes the live page."""
    pytest.importorskip("sphinx")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER.parent / "docs" / "_ext"))
        import front_page

        yield front_page
    sys.modules.pop("front_page")


def test_the_network_is_small_and_finds_cells(front_page, tmp_path):
    assert front_page.NETWORK.stat().st_size < 200_000
    write_generated("cells", tmp_path / "data", 8, 99, front_page.SIDE, magnification=front_page.MAGNIFICATION)
    checkpoint = load_checkpoint(front_page.NETWORK)
    segmenter = Segmenter(checkpoint.network, checkpoint.spec.preprocessing)
    names = sorted(path.name for path in (tmp_path / "data" / "images").iterdir())
    images = np.stack([read_image(tmp_path / "data" / "images" / name) for name in names])
    found = segmenter.probabilities(images)[..., 1] > 0.5
    truth = np.stack([np.asarray(Image.open(tmp_path / "data" / "masks" / name)) for name in names]) == 1
    assert (found & truth).sum() / (found | truth).sum() > 0.7


def test_the_live_page_is_one_file(front_page, tmp_path):
    assert front_page.write_live_page(tmp_path / "live.html") == 0
    text = (tmp_path / "live.html").read_text("utf-8")
    assert "http" not in text.replace("http-equiv", "")
    assert len(text) < 500_000
