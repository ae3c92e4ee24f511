"""The files of a run."""

import pytest

from scratchnet.training.contents import Checkpoint
from scratchnet.training.run_folder import BEST, LAST, LOG, RunFolder
from scratchnet.utils.errors import UserError
from tests.tiny import files, network, recipe


def checkpoint(epoch):
    return Checkpoint(recipe(), network(), {"epoch": epoch})


def test_best_and_last_are_kept_apart(tmp_path):
    folder = RunFolder(tmp_path)
    assert not folder.has_best
    assert not folder.has_last
    folder.save_best(checkpoint(1))
    folder.save_last(checkpoint(2))
    folder.save_log([{"epoch": 1}, {"epoch": 2}])
    assert folder.has_best
    assert folder.has_last
    assert folder.load_best().progress == {"epoch": 1}
    assert folder.load_last().progress == {"epoch": 2}
    assert sorted(str(path) for path in files(tmp_path)) == sorted([BEST, LAST, LOG])


def test_only_one_process_writes(tmp_path):
    folder = RunFolder(tmp_path, writes=False)
    folder.save_best(checkpoint(1))
    folder.save_last(checkpoint(1))
    folder.save_log([{"epoch": 1}])
    assert files(tmp_path) == {}
    with pytest.raises(UserError, match="no such checkpoint"):
        folder.load_last()
