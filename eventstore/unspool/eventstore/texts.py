"""Texts by their hash: what executors fetched for executions. A part of the port."""

import hashlib
from typing import Protocol

from unspool.eventstore.errors import CorruptHistory


class Texts(Protocol):
    """Texts by tenant and SHA-256. A stored text never changes."""

    async def put_text(self, tenant: str, text: str) -> str:
        """Stores a text once; returns its hash."""

    async def text(self, tenant: str, sha256: str) -> str | None:
        """The text with this hash.

        Raises:
            CorruptHistory: the stored text has another hash.
        """

    async def put_content(self, tenant: str, sha256: str, content: bytes) -> None:
        """Stores what a text with this hash is stored as, unless there is something."""

    async def content(self, tenant: str, sha256: str) -> bytes | None:
        """What the text with this hash is stored as: the text in UTF-8, or encrypted."""


def sha256_of(text: str) -> str:
    """The SHA-256 of a text in UTF-8, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def checked_text(stored: bytes | None, sha256: str) -> str | None:
    """A stored text, decoded. Raises `CorruptHistory` if it does not have this hash."""
    if stored is None:
        return None
    if hashlib.sha256(stored).hexdigest() != sha256:
        raise CorruptHistory(f"the text {sha256} does not match its hash")
    return stored.decode()
