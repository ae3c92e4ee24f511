"""Commands that go on with a run, for messages."""

import shlex
from itertools import count
from pathlib import Path


def resume_command(folder: Path) -> str:
    """Return the command that continues a run after an interruption."""
    return shlex.join(["scratchnet", "train", "--out", str(folder), "--resume"])


def start_from_command(folder: Path) -> str:
    """Return the command for a new run with the settings of a run, from its weights; images may have been added."""
    config, best = folder / "config.toml", folder / "checkpoint.npz"
    out = next(path for k in count(2) if not (path := folder.with_name(f"{folder.name}-{k}")).exists())
    words = ["scratchnet", "train", "--config", str(config), "--start-from", str(best), "--out", str(out)]
    return shlex.join(words)
