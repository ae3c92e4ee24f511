"""The networks in the box: files, cards, names, and what they segment."""

import json

import numpy as np
import pytest

from scratchnet.config import read_settings
from scratchnet.inference import Segmenter
from scratchnet.networks import find_checkpoint, network_card, network_names, network_origin
from scratchnet.training import Checkpoint, load_checkpoint, load_network, save_checkpoint
from scratchnet.utils.npz import read_npz
from tests.tiny import recipe


def discs(bright: bool):
    """Draw discs of radius 8 to 14 on a blurred background; return image (160, 160, 3) and mask."""
    rng, (y, x) = np.random.default_rng(3), np.mgrid[:160, :160]
    mask = np.zeros((160, 160), bool)
    for cy in (25, 80, 135):
        for cx in (25, 80, 135):
            mask |= (y - cy) ** 2 + (x - cx) ** 2 < rng.integers(8, 15) ** 2
    colours = ((18, 18, 18), (150, 150, 150)) if bright else ((225, 205, 225), (110, 60, 140))
    image = np.where(mask[..., None], colours[1], colours[0]) + rng.normal(0, 4, (160, 160, 3))
    return np.clip(image, 0, 255).astype(np.uint8), mask


@pytest.mark.parametrize("name", network_names())
def test_a_file_is_small_and_has_no_optimizer_and_no_path(name):
    path = find_checkpoint(name)
    header = json.loads(read_npz(path, ["header"])["header"].tobytes())
    assert path.stat().st_size < 2_000_000
    assert header["optimizer_state"] == []
    assert "/" not in json.dumps(header["settings"])
    assert network_card(name).startswith(f"# {name}\n\n")
    assert "\n" not in network_origin(name)


def test_nuclei_is_the_network_of_its_recipe():
    settings, stored = read_settings("nuclei-small"), load_checkpoint("nuclei")
    assert stored.spec.model == settings.model.model
    assert stored.spec.options == settings.model.options()
    assert stored.spec.preprocessing.normalization == settings.normalization
    assert stored.spec.classes == ("background", "nucleus")
    assert stored.network.flat().values.dtype == np.float32


@pytest.mark.parametrize("bright", [True, False])
def test_nuclei_segments_discs(bright):
    image, mask = discs(bright)
    stored = load_checkpoint("nuclei")
    found = Segmenter(stored.network, stored.spec.preprocessing).segment(image) == 1
    assert (found & mask).sum() / (found | mask).sum() > 0.8


def test_half_precision_rounds_each_parameter_and_nothing_else(tmp_path):
    made = recipe(options={"width": 0.1, "batch_norm": True})
    net = made.build().allocate(3)
    for buffer in net.state().values():
        buffer.value[...] = 1 / 3
    save_checkpoint(tmp_path / "a.npz", Checkpoint(made, net), half=True)
    read = load_network(tmp_path / "a.npz")
    values = net.flat().values
    assert read.flat().values.dtype == np.float32
    np.testing.assert_array_equal(read.flat().values, values.astype(np.float16).astype(np.float32))
    assert all((buffer.value == np.float32(1 / 3)).all() for buffer in read.state().values())
    values[0] = 1e6
    with pytest.raises(ValueError, match=r"parameter of 1e\+06 does not fit into float16"):
        save_checkpoint(tmp_path / "b.npz", Checkpoint(made, net), half=True)
    assert not (tmp_path / "b.npz").exists()


def test_a_name_is_the_network_in_the_box_and_a_path_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = recipe(options={"width": 0.1})
    save_checkpoint("nuclei", Checkpoint(made, made.build().allocate(0)))
    assert load_checkpoint("nuclei").spec.model == "unet-same"
    assert load_checkpoint("./nuclei").spec.model == made.model
    assert load_checkpoint(tmp_path / "nuclei").spec.model == made.model
