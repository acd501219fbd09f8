"""Keeps known secrets out of texts that people read."""

from collections.abc import Iterable
from typing import Final

HIDDEN: Final = "***"

_SHORTEST: Final = 4
"""Shorter values are no secrets worth the name, and hiding each "1" would make texts unreadable."""


def masked(text: str, secrets: Iterable[str]) -> str:
    """A text in which none of the secrets is left."""
    for secret in secrets:
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, HIDDEN)
    return text
