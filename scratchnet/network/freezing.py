"""Select parameters by name to freeze them: a frozen parameter is used but no longer learned.

    net.freeze("conv1*", "deconv*.bias")

A pattern is compared with the names of parameters (``conv1.weight``) and of steps (``conv1`` selects all parameters of
that step); ``*``, ``?`` and ``[…]`` match as in a shell.
"""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from scratchnet.layers.parameter import Parameter

if TYPE_CHECKING:
    from scratchnet.network.modes import NetworkModes

SHOWN = 5
"""Maximum number of names in an error message."""


def matching(parameters: Mapping[str, Parameter], patterns: Sequence[str]) -> list[str]:
    """Return the names of the parameters that at least one pattern matches.

    Parameters
    ----------
    parameters : mapping of str to Parameter
        By ``step.name``.
    patterns : sequence of str

    Raises
    ------
    ValueError
        If there is no pattern, or one matches no parameter; the message lists similar names.
    """
    if not patterns:
        raise ValueError("freeze: expected at least one name or pattern, such as 'conv1' or 'conv*'; '*' means all")
    found: set[str] = set()
    for pattern in patterns:
        fits = {name for name in parameters if _fits(name, pattern)}
        if not fits:
            raise ValueError(f"no parameter matches '{pattern}'; {_suggestion(parameters, pattern)}")
        found |= fits
    return [name for name in parameters if name in found]


def set_frozen(network: "NetworkModes", names: Sequence[str], frozen: bool, statistics: bool) -> None:
    """Freeze or unfreeze parameters; with ``statistics`` also those of batch norm layers that are completely frozen."""
    named = network.parameters()
    for name in names:
        named[name].freeze(frozen)
        if network.buffers is not None:
            named[name].grad[...] = 0  # a later pass would add to what is left of it
    for step, norm in network.batch_norms().items() if statistics else ():
        if any(name.rpartition(".")[0] == step for name in names):
            norm.freeze_statistics(not norm.learns())
    if network.buffers is not None:
        network.buffers.update_learned(named)


def _fits(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) or fnmatchcase(name.rpartition(".")[0], pattern)


def _suggestion(names: Iterable[str], pattern: str) -> str:
    """Return the names that are similar to a pattern, or else the first names."""
    steps = list(dict.fromkeys(name.rpartition(".")[0] for name in names))
    close = get_close_matches(pattern.strip("*?")[:60], [*steps, *names], SHOWN, 0.5)
    if close:
        return f"close names: {', '.join(close)}"
    more = ", …" if len(steps) > SHOWN else ""
    return f"steps with parameters: {', '.join(steps[:SHOWN])}{more}" if steps else "the network has no parameters"
