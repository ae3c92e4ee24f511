import numpy as np
import pytest

from scratchnet.training import Checkpoint, save_checkpoint
from scratchnet.training.warm_start import load_matching_parameters
from scratchnet.utils.errors import UserError
from tests.tiny import network, recipe

NORMED = {"width": 0.1, "batch_norm": True}


def saved(path, made, seed):
    net = made.build().allocate(seed)
    for buffer in net.state().values():
        buffer.value[...] = 0.5 + seed
    save_checkpoint(path, Checkpoint(made, net))
    return net


def test_everything_is_copied_between_equal_networks(tmp_path):
    other = saved(tmp_path / "a.npz", recipe(options=NORMED), 7)
    net = network(options=NORMED)
    line = load_matching_parameters(net, tmp_path / "a.npz")
    assert line == f"{net.parameter_count():,} of {net.parameter_count():,} parameters start from {tmp_path / 'a.npz'}"
    np.testing.assert_array_equal(net.flat().values, other.flat().values)
    assert all((buffer.value == 7.5).all() for buffer in net.state().values())


def test_layers_of_another_shape_keep_their_start(tmp_path):
    """Three classes instead of two: only the last layer differs."""
    other = saved(tmp_path / "a.npz", recipe("squares", {"width": 3}, classes=("a", "b", "c")), 7)
    net, fresh = network("squares", {"width": 3}), network("squares", {"width": 3})
    line = load_matching_parameters(net, tmp_path / "a.npz")
    assert line.endswith("; not in it: score")
    for name, parameter in net.parameters().items():
        expected = fresh if name.startswith("score") else other
        np.testing.assert_array_equal(parameter.value, expected.parameters()[name].value)


def test_nothing_fits(tmp_path):
    saved(tmp_path / "a.npz", recipe("squares", {"width": 3}), 0)
    with pytest.raises(UserError, match=r"^.*a\.npz: none of its layers fits this network"):
        load_matching_parameters(network(options={"width": 0.2}), tmp_path / "a.npz")
    with pytest.raises(UserError, match=r"none\.npz: no such checkpoint"):
        load_matching_parameters(network(), tmp_path / "none.npz")
