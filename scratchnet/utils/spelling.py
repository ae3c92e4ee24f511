"""Suggest a correction for a misspelt word."""

from collections.abc import Iterable
from difflib import get_close_matches

MAX_LENGTH = 60
"""Maximum length of a word for which a correction is suggested."""


def closest_name(word: str, known: Iterable[str]) -> str:
    """Return "; did you mean …?" with the most similar known word, "" if none is similar."""
    # The comparison takes time proportional to the product of both lengths, and real words are not this long.
    found = get_close_matches(word.lower(), list(known), 1, 0.6) if len(word) <= MAX_LENGTH else []
    return f"; did you mean {found[0]}?" if found else ""
