"""Conversion of the words after a flag into a value of the field's type."""

import re
import types
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from scratchnet.config.sizes import Side, Size, read_number, read_pair

NUMBER = re.compile(r"[-+]?(\d[\d_]*\.?\d*|\.\d+)(e[-+]?\d+)?|[-+]?(inf|nan)|[-+]?infinity", re.IGNORECASE)


def is_number(word: str) -> bool:
    """Return whether a word is a number, and so not a flag even with a leading minus."""
    return NUMBER.fullmatch(word) is not None


def alternatives(hint: Any) -> tuple[Any, ...]:
    """Return the members of a union except None, or else the type itself."""
    if get_origin(hint) in (Union, types.UnionType):
        return tuple(inner for part in get_args(hint) if part is not type(None) for inner in alternatives(part))
    return (hint,)


def is_bool(hint: Any) -> bool:
    """Return whether a field is switched on and off."""
    return alternatives(hint) == (bool,)


def is_pair(hint: Any) -> bool:
    """Return whether a type is two numbers, (a, b)."""
    inner = get_args(_bare(hint))
    return get_origin(_bare(hint)) is tuple and len(inner) == 2 and inner[0] is inner[1] and inner[0] in (int, float)


def choices(hint: Any) -> list[str]:
    """Return the fixed words that a field accepts."""
    return [str(word) for part in alternatives(hint) if get_origin(part) is Literal for word in get_args(part)]


def words_taken(hint: Any, words: Sequence[str]) -> int:
    """Return how many of the words, none of which is a flag, belong to a flag of this type."""
    parts = alternatives(hint)
    if any(is_pair(part) or _is_side(part) for part in parts):
        return 2 if len(words) > 1 and is_number(words[0]) and is_number(words[1]) else min(1, len(words))
    lengths = [_length(part) for part in parts]
    return len(words) if None in lengths else min(len(words), max(n for n in lengths if n is not None))


def read_words(hint: Any, words: Sequence[str]) -> Any:
    """Return the value that words represent.

    Raises
    ------
    ValueError
        With a description of the expected words.
    """
    if list(words) == ["None"] and type(None) in get_args(hint):
        return None
    for part in alternatives(hint):
        try:
            return _read(part, words)
        except (ValueError, OverflowError):
            continue
    raise ValueError(expected(hint))


def expected(hint: Any) -> str:
    """Return a description of the words that a flag of this type accepts."""
    return ", or ".join(_expected(part) for part in alternatives(hint))


def metavar(hint: Any) -> str:
    """Return the placeholder that the help shows after a flag of this type."""
    return "|".join(_metavar(part) for part in alternatives(hint))


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def _is_side(hint: Any) -> bool:
    return bool(hint == Side)


def _length(hint: Any) -> int | None:
    """Return the number of words that a type takes; None for any number."""
    bare = _bare(hint)
    if get_origin(bare) is not tuple:
        return 1
    return None if Ellipsis in get_args(bare) else len(get_args(bare))


def _read(hint: Any, words: Sequence[str]) -> Any:
    bare = _bare(hint)
    if _is_side(hint) or is_pair(hint):
        return _read_pair(hint, words)
    if get_origin(bare) is tuple:
        inner = get_args(bare)
        if Ellipsis in inner:
            return tuple(_read(inner[0], [word]) for word in words)
        if len(words) != len(inner):
            raise ValueError(words)
        return tuple(_read(part, [word]) for part, word in zip(inner, words, strict=True))
    (word,) = words
    if get_origin(bare) is Literal:
        found = {str(choice): choice for choice in get_args(bare)}
        if word not in found:
            raise ValueError(word)
        return found[word]
    if bare is bool:
        return {"true": True, "false": False}[word.lower()]
    return read_number(bare, word) if bare in (int, float) else bare(word)


def _read_pair(hint: Any, words: Sequence[str]) -> Any:
    """Read ``256``, ``256 128`` or ``256x128`` (also with ×)."""
    first, second = read_pair("x".join(words), int if _is_side(hint) else get_args(_bare(hint))[0])
    if (_is_side(hint) and first != second) or (hint == Size and min(first, second) < 1):
        raise ValueError(words)
    return first if _is_side(hint) else (first, second)


def _expected(hint: Any) -> str:
    bare = _bare(hint)
    if hint == Size:
        return "HxW, such as 128x128, or one number"
    if _is_side(hint):
        return "one number, the side of a square"
    if get_origin(bare) is Literal:
        return f"one of: {', '.join(map(str, get_args(bare)))}"
    if get_origin(bare) is tuple:
        inner = get_args(bare)
        noun = {int: "whole numbers", float: "numbers"}.get(inner[0], "words")
        if Ellipsis in inner:
            return f"one or more {noun}"
        return f"{'two' if len(inner) == 2 else 'three'} {noun}" + (", or one for both" if is_pair(hint) else "")
    return {int: "a whole number", float: "a number", bool: "true or false"}.get(bare, "a word")


def _metavar(hint: Any) -> str:
    bare = _bare(hint)
    if hint == Size:
        return "HxW"
    if get_origin(bare) is Literal:
        return "{" + ",".join(map(str, get_args(bare))) + "}"
    if get_origin(bare) is tuple:
        inner = [part for part in get_args(bare) if part is not Ellipsis]
        return " ".join(map(_metavar, inner)) + ("…" if Ellipsis in get_args(bare) else "")
    return {int: "N", float: "X"}.get(bare, "TEXT")
