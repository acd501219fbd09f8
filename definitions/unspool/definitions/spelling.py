"""Guessing what was probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice
from typing import Final

_LONGEST: Final = 60
_MOST: Final = 200
_LIKE_ENOUGH: Final = 0.6


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is most like this one, if any is like it at all."""
    if len(word) > _LONGEST:
        return None
    by_lower = {name.lower(): name for name in islice(known, _MOST) if len(name) <= _LONGEST}
    found = get_close_matches(word.lower(), by_lower, n=1, cutoff=_LIKE_ENOUGH)
    return by_lower[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown word; empty if there is nothing to suggest."""
    meant = nearest(word, known)
    return f", did you mean '{meant}'?" if meant else ""


def shown(value: object, limit: int = 60) -> str:
    """A value in a message: short, and on one line."""
    text = value if isinstance(value, str) else repr(value)
    printable = "".join(character if character.isprintable() else "\ufffd" for character in text[: limit + 1])
    return printable if len(printable) <= limit else printable[:limit] + "…"
