"""How an event is read (dsl-reference.md, "Listen")."""

from enum import StrEnum


class Read(StrEnum):
    """How an event is read."""

    DATA = "data"
    ENVELOPE = "envelope"
    RAW = "raw"
