"""A guess at what a misspelt word was meant to be."""

from collections.abc import Iterable
from difflib import get_close_matches

MAX_LENGTH = 60
"""Characters of a word that a guess is made for."""


def closest_name(word: str, known: Iterable[str]) -> str:
    """Return "; did you mean …?" with the known word that is most like a misspelt one, "" where none is."""
    # The comparison takes time in proportion to the product of both lengths, and nobody mistypes a word this long.
    found = get_close_matches(word.lower(), list(known), 1, 0.6) if len(word) <= MAX_LENGTH else []
    return f"; did you mean {found[0]}?" if found else ""
