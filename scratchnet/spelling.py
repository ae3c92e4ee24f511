"""A guess at what a misspelt word was meant to be."""

from collections.abc import Iterable
from difflib import get_close_matches


def closest_name(word: str, known: Iterable[str]) -> str:
    """Return "; did you mean …?" with the known word that is most like a misspelt one, "" where none is."""
    found = get_close_matches(word.lower(), list(known), 1, 0.6)
    return f"; did you mean {found[0]}?" if found else ""
