"""Settings in TOML: files of the user, and the built-in recipes."""

import json
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, fields, is_dataclass
from importlib import resources
from pathlib import Path
from typing import Any, get_args, get_type_hints

from scratchnet.config.renamed import RENAMED
from scratchnet.config.settings import TrainSettings
from scratchnet.config.sizes import read_pair
from scratchnet.utils.errors import UserError
from scratchnet.utils.input_files import check_regular_file


def recipe_names() -> list[str]:
    """Return the names of the built-in recipes."""
    folder = resources.files("scratchnet") / "recipes"
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def read_settings(source: str) -> TrainSettings:
    """Read settings from a TOML file or a built-in recipe.

    Its tables are the groups of settings: ``[data]``, ``[model]``, ``[training]``, ``[augmentation]``,
    ``[curriculum]``. Missing keys keep their defaults.

    Parameters
    ----------
    source : str
        Path of a ``.toml`` file, or the name of a recipe.

    Raises
    ------
    UserError
        When the file or recipe does not exist or is not TOML, or a key or value is not valid.
    """
    path = Path(source)
    try:
        if path.suffix == ".toml":
            check_regular_file(path, "a TOML file")
            text = path.read_text(encoding="utf-8-sig")  # some editors begin files with a byte order mark
        elif source in recipe_names():
            text = (resources.files("scratchnet") / "recipes" / f"{source}.toml").read_text(encoding="utf-8")
        else:
            raise UserError(f"config '{source}': no .toml file and no recipe; recipes: {', '.join(recipe_names())}")
        values = tomllib.loads(text)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except RecursionError as error:
        raise UserError(f"{path}: not usable TOML (lists or tables are nested too deeply)") from error
    except ValueError as error:  # TOMLDecodeError, UnicodeDecodeError, Python's limit of digits
        raise UserError(f"{path}: not valid TOML ({error})") from error
    settings: TrainSettings = _fill(TrainSettings, values, source)
    return settings


def settings_from(values: Mapping[str, Any], source: Path) -> TrainSettings:
    """Return the settings that a checkpoint stores as JSON."""
    settings: TrainSettings = _fill(TrainSettings, values, str(source))
    return settings


def differences(before: TrainSettings, after: TrainSettings, limit: int = 3) -> str:
    """Return the settings that differ as "key old → new", at most ``limit`` of them by name; "" if none differs."""
    old, new = (dict(_flat(asdict(settings))) for settings in (before, after))
    changed = [f"{key} {old[key]} → {new[key]}" for key in old if old[key] != new[key]]
    more = f" and {len(changed) - limit} more" if len(changed) > limit else ""
    return ", ".join(changed[:limit]) + more


def _flat(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from value.items()
        else:
            yield key, value


def write_settings(settings: TrainSettings) -> str:
    """Return the settings as TOML that :func:`read_settings` reads; None is left out."""
    lines = [f"out = {_toml(settings.out)}"]
    for group, values in asdict(settings).items():
        if isinstance(values, dict):
            lines += ["", f"[{group}]"]
            lines += [f"{key} = {_toml(value)}" for key, value in values.items() if value is not None]
    return "\n".join(lines) + "\n"


def _fill(kind: Any, values: Mapping[str, Any], where: str) -> Any:
    """Return a settings object from a table; unknown keys and wrong types are refused."""
    from typeguard import CollectionCheckStrategy, TypeCheckError, check_type

    hints = get_type_hints(kind)
    known = [f.name for f in fields(kind)]
    made: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            renamed = RENAMED.get(key)
            advice = f"it is called '{renamed}' now" if renamed in known else f"known here: {', '.join(known)}"
            raise UserError(f"{where}: unknown setting '{key}'; {advice}")
        if is_dataclass(hints[key]):
            if not isinstance(value, dict):
                raise UserError(f"{where}: '{key}' must be a table, [{key}]")
            made[key] = _fill(hints[key], value, f"{where} [{key}]")
            continue
        given = _pair(value, hints[key]) if isinstance(value, int | str) else value
        given = tuple(given) if isinstance(given, list) else given
        try:
            if isinstance(given, bool) and bool not in (hints[key], *get_args(hints[key])):
                raise TypeCheckError("true and false are not numbers")  # in Python they are 1 and 0
            made[key] = check_type(given, hints[key], collection_check_strategy=CollectionCheckStrategy.ALL_ITEMS)
        except TypeCheckError as error:
            raise UserError(f"{where}: '{key}' is {value!r}, but {error}") from error
    return kind(**made)


def _pair(value: int | str, hint: Any) -> Any:
    """Let 256 and "256x128" stand for sizes, as on the command line."""
    sizes = [part for part in (hint, *get_args(hint)) if part in (tuple[int, int], tuple[float, float])]
    if sizes and not isinstance(value, bool):
        with suppress(ValueError):
            return read_pair(str(value), get_args(sizes[0])[0])
    return value


def _toml(value: Any) -> str:
    """Write one value as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)  # a JSON string is a TOML string
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    return repr(value)
