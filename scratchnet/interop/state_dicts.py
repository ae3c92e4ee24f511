"""Find the state dict in a training script's checkpoint, and strip wrapper prefixes from its names."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from scratchnet.interop.pickled import Tensor
from scratchnet.utils.errors import UserError

T = TypeVar("T")

_USUAL = ("state_dict", "model_state_dict", "model_state", "model", "net", "network", "module", "weights", "params")
"""Keys under which scripts save a model's state dict."""

_WRAPPERS = ("module.", "_orig_mod.", "model.", "net.", "network.")
"""Prefixes that DataParallel, torch.compile and modules with a network as an attribute add to every name."""

MAX_DEPTH = 4
"""Depth to which nested dictionaries are searched."""


def find_state_dict(content: Any, path: Path) -> Mapping[Any, Any]:
    """Return the dictionary of tensors in a file's content.

    A training script often saves ``{"state_dict": …, "optimizer": …, "epoch": …}``. The dictionary under one of the
    usual keys is used, else the file's own tensors, else the only dictionary of tensors; an optimiser's state never is.

    Raises
    ------
    TypeError
        If there is no dictionary.
    UserError
        If several dictionaries of tensors qualify.
    """
    if not isinstance(content, Mapping):
        raise TypeError("no dictionary of tensors")
    found = [(keys, values) for keys, values in _dictionaries(content) if _holds_tensors(values)]
    usual = [pair for pair in found if pair[0] and pair[0][-1] in _USUAL]
    own = [pair for pair in found if not pair[0]]
    candidates = usual or own or found
    if len(candidates) > 1:
        names = ", ".join("/".join(keys) for keys, _ in candidates)
        raise UserError(
            f"{path}: holds several dictionaries of tensors ({names}); save the one that is meant: "
            "torch.save(model.state_dict(), FILE)"
        )
    return candidates[0][1] if candidates else content


def _dictionaries(content: Mapping[Any, Any]) -> Iterator[tuple[tuple[str, ...], Mapping[Any, Any]]]:
    """Yield a dictionary and each dictionary nested in it once, with the keys that lead to it, except optimisers'."""
    level: list[tuple[tuple[str, ...], Mapping[Any, Any]]] = [((), content)]
    seen = {id(content)}
    for _ in range(MAX_DEPTH):
        yield from level
        below = []
        for keys, values in level:
            for key, value in values.items():
                if isinstance(value, Mapping) and id(value) not in seen and "optim" not in str(key).lower():
                    seen.add(id(value))
                    below.append(((*keys, str(key)), value))
        level = below


def _holds_tensors(values: Mapping[Any, Any]) -> bool:
    return any(isinstance(key, str) and isinstance(value, Tensor) for key, value in values.items())


def own_names(values: Mapping[str, T]) -> dict[str, T]:
    """Remove the prefixes that wrappers add to all names.

    >>> own_names({"module._orig_mod.fc.weight": 1, "module._orig_mod.fc.bias": 2})
    {'fc.weight': 1, 'fc.bias': 2}
    """
    named = dict(values)
    while named:
        prefix = next((p for p in _WRAPPERS if all(name.startswith(p) and name != p for name in named)), None)
        if prefix is None:
            break
        named = {name.removeprefix(prefix): value for name, value in named.items()}
    return named
