"""``scratchnet bench``: run the benchmarks of a clone, ``benchmarks/harness``; the installed package has none."""

import importlib
from collections.abc import Sequence
from pathlib import Path

from scratchnet.utils.errors import UserError

HARNESS = Path(__file__).resolve().parents[2] / "benchmarks" / "harness"
"""Folder of the benchmarks, if the package is used from a clone of its repository."""


def main(words: Sequence[str]) -> int:
    """Run the command.

    Raises
    ------
    UserError
        If the package is not used from a clone.
    """
    if not HARNESS.is_dir():
        raise UserError(
            "the installed package has no benchmarks; run `python -m benchmarks` in a clone of the repository"
        )
    command = importlib.import_module("benchmarks.harness.command")
    return int(command.main(words))
