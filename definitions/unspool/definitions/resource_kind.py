"""What external resources are used as."""

from enum import StrEnum
from typing import Final


class ResourceKind(StrEnum):
    """What a resource is used as."""

    FUNCTION = "function"
    SCHEMA = "schema"
    DOCUMENT = "document"
    """A text for a handler. The worker does not read it."""
    PROTO = "proto"
    """A `.proto` with all that it imports, as one text for a handler."""


FOR_HANDLERS: Final = frozenset({ResourceKind.DOCUMENT, ResourceKind.PROTO})
"""Kinds that only handlers read."""


def kind_of(key: str) -> ResourceKind:
    """Returns what the text with a key is used as. Raises `ValueError`."""
    return ResourceKind(key.partition(" ")[0])
