"""Every architecture goes with every way of using it, on an image whose sides divide by nothing."""

import numpy as np
import pytest

from scratchnet.data import Preprocessing
from scratchnet.inference import DenseCrf, Ensemble, MultiScale, ProposalSegmenter, Refined, Segmenter
from scratchnet.inference.boxes import proposals_from_grid
from scratchnet.models import MODELS, build
from tests.tiny import sample

PLAIN = Preprocessing("none")
SMALL = {
    "bloodcell": {"width": 0.1},
    "deconvnet": {"size": 64, "width": 0.02},
    "deconvnet-small": {"size": 32, "width": 2},
    "squares": {"width": 2},
    "unet": {"width": 0.05, "depth": 2},
    "unet-same": {"width": 0.05},
    "mobile-unet": {"width": 0.1},
    "segnet-basic": {"width": 0.1},
}
IMAGES = np.stack([sample(index, 67, 75)[0] for index in range(2)])


@pytest.mark.parametrize("name", MODELS)
def test_every_way(cores, name):
    cores(1)
    net = build(name, 2, **SMALL.get(name, {"width": 0.03})).allocate(0).eval()
    whole = Segmenter(net, PLAIN, flip=True)
    boxes = ProposalSegmenter(whole, proposals_from_grid(3), "max", None if net.fixed_size else 48)
    ways = [whole, MultiScale(whole, (0.7, 1.0)), boxes, Refined(Ensemble(boxes, whole, "product"), DenseCrf())]
    if net.fixed_size is None:
        ways.append(Segmenter(net, PLAIN, tile=64))
    for way in ways:
        way.check(IMAGES[0])
        found = way.probabilities(IMAGES, ["a", "b"])
        assert found.shape == (2, 67, 75, 2)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found.sum(axis=-1), 1, atol=1e-4)
