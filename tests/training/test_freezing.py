"""Runs with frozen parameters: kept through checkpoints and interruptions; names that fit nothing are refused."""

import numpy as np
import pytest

from scratchnet.config import TrainingSettings, TrainSettings, read_settings, write_settings
from scratchnet.training import Checkpoint, load_checkpoint, save_checkpoint
from scratchnet.training.run_folder import LAST
from scratchnet.utils.errors import UserError
from tests.tiny import recipe, rows, run, trained

NORMED = {"width": 0.1, "batch_norm": True}
FROZEN = {"freeze": ("conv1*", "conv1_bn"), "freeze_statistics": True}


def test_a_checkpoint_holds_what_is_frozen(tmp_path):
    made = recipe(options=NORMED)
    network = made.build().allocate().freeze("conv*.weight")
    norm = next(iter(network.batch_norms()))
    network.freeze(norm, statistics=True)
    save_checkpoint(tmp_path / "a.npz", Checkpoint(made, network))
    found = load_checkpoint(tmp_path / "a.npz").network
    assert found.frozen() == network.frozen() != []
    assert [name for name, layer in found.batch_norms().items() if layer.frozen] == [norm]
    assert found.flat().learned == network.flat().learned


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_run_with_frozen_parameters_resumes_to_the_same_bits(tmp_path, optimizer):
    settings = {"made": recipe(options=NORMED), "optimizer": optimizer, "weight_decay": 0.1, **FROZEN}
    whole = trained(tmp_path / "whole", epochs=3, **settings)
    start = settings["made"].build().allocate(0)
    trained(tmp_path / "parts", epochs=1, **settings)
    rest = trained(tmp_path / "parts", epochs=3, resume=True, **settings)
    assert rows(rest) == rows(whole)
    np.testing.assert_array_equal(rest.network.flat().values, whole.network.flat().values)
    stored = load_checkpoint(tmp_path / "parts" / LAST)
    frozen = stored.network.frozen()
    assert frozen
    for name, parameter in stored.network.parameters().items():
        same = np.array_equal(parameter.value, start.parameters()[name].value)
        assert same or name not in frozen, name
        assert not same or name in frozen or name.endswith(".bias"), name  # biases before batch norm have no gradient
    for name, buffer in rest.network.state().items():
        assert np.array_equal(buffer.value, start.state()[name].value) == name.startswith("conv1_bn"), name


@pytest.mark.parametrize(
    ("patterns", "text"),
    [(("convv1",), "freeze: no parameter matches 'convv1'; close names: "), (("*",), "nothing is left to train")],
)
def test_names_that_leave_nothing_to_do_are_refused(tmp_path, patterns, text):
    with pytest.raises(UserError) as error:
        run(tmp_path, freeze=patterns)
    assert text in str(error.value)


def test_patterns_survive_toml(tmp_path):
    settings = TrainSettings(training=TrainingSettings(freeze=("conv1*", "bn?.scale"), freeze_statistics=True))
    (tmp_path / "a.toml").write_text(write_settings(settings))
    assert read_settings(str(tmp_path / "a.toml")) == settings
