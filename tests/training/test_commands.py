from pathlib import Path

from scratchnet.training.commands import resume_command, start_from_command


def test_commands_can_be_pasted_into_a_shell(tmp_path):
    assert resume_command(Path("my run")) == "scratchnet train --out 'my run' --resume"
    (tmp_path / "run-2").mkdir()
    run = tmp_path / "run"
    assert start_from_command(run) == (
        f"scratchnet train --config {run}/config.toml --start-from {run}/checkpoint.npz --out {run}-3"
    )
