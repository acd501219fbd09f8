"""Hides known secrets in texts that people read."""

from collections.abc import Iterable
from typing import Final

HIDDEN: Final = "***"

_MIN_LENGTH: Final = 4
"""Shorter values are not hidden: to hide each "1" would make texts unreadable."""


def masked(text: str, secrets: Iterable[str]) -> str:
    """The text with `***` in place of each secret."""
    for secret in secrets:
        if len(secret) >= _MIN_LENGTH:
            text = text.replace(secret, HIDDEN)
    return text
