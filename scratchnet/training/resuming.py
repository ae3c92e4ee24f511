"""Whether a run may go on from a checkpoint: network, preprocessing, optimiser and held-back images must agree."""

from collections.abc import Sequence
from pathlib import Path

from scratchnet.network import Network
from scratchnet.network.description import describe
from scratchnet.training.contents import Checkpoint, ModelSpec
from scratchnet.utils.errors import UserError


def check_same(path: Path, last: Checkpoint, wanted: ModelSpec, memory: Sequence[str], own: Network | None) -> None:
    """Refuse to go on from a checkpoint that belongs to another run.

    Parameters
    ----------
    path : Path
        Of the checkpoint, for messages.
    last : Checkpoint
    wanted : Recipe
        Of the run that is to go on.
    memory : sequence of str
        Names of the arrays that its optimiser and the average of its weights remember.
    own : Network or None
        A network of one's own that it trains.

    Raises
    ------
    UserError
        Naming what differs.
    """
    stored = last.recipe
    for what in ("model", "options", "classes"):
        if getattr(wanted, what) != getattr(stored, what):
            raise UserError(
                f"{path}: was trained with {what} {getattr(stored, what)!r}, not {getattr(wanted, what)!r}; "
                "resume with the same settings or choose another --out"
            )
    if own is not None and describe(own)["steps"] != describe(last.network)["steps"]:
        raise UserError(f"{path}: was trained with another network; build the same one or choose another folder")
    for what in ("normalization", "resize", "range"):
        old, new = getattr(stored.preprocessing, what), getattr(wanted.preprocessing, what)
        if new != old:
            raise UserError(f"{path}: was trained with {what} {old}, not {new}; leave out --{what}")
    if ("average" in last.memory) != ("average" in memory):
        has = "an" if "average" in last.memory else "no"
        raise UserError(f"{path}: holds {has} average of the weights; resume with the same --ema")
    if set(last.memory) != set(memory):
        raise UserError(
            f"{path}: holds the memory of another optimiser ({', '.join(last.memory) or 'none'}), expected "
            f"{', '.join(memory)}; resume with the same --optimizer"
        )
    if wanted.data.get("held_out") != stored.data.get("held_out"):
        raise UserError(
            f"{path}: other images were held back for validation then (files added, removed or renamed, or another "
            "--seed or --val-fraction); put them back or choose another --out"
        )
