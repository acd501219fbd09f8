"""Suggests known names for misspelled ones."""

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice
from typing import Final

_LONGEST: Final = 60
_MOST: Final = 200
_LIKE_ENOUGH: Final = 0.6


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Returns the most similar known word, or None if none is similar."""
    if len(word) > _LONGEST:
        return None
    by_lower = {name.lower(): name for name in islice(known, _MOST) if len(name) <= _LONGEST}
    found = get_close_matches(word.lower(), by_lower, n=1, cutoff=_LIKE_ENOUGH)
    return by_lower[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Returns the suggestion for the end of a message about an unknown word; empty if there is none."""
    meant = nearest(word, known)
    return f", did you mean '{meant}'?" if meant else ""


def shown(value: object, limit: int = 60) -> str:
    """Returns a value for a message: short, on one line, printable."""
    text = value if isinstance(value, str) else repr(value)
    printable = "".join(character if character.isprintable() else "\ufffd" for character in text[: limit + 1])
    return printable if len(printable) <= limit else printable[:limit] + "…"
