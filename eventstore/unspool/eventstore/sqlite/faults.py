"""What SQLite's errors mean to a caller of the store."""

import sqlite3
from typing import Final

from unspool.eventstore.errors import CorruptHistory, StoreError, StoreMismatch, StoreUnavailable

_PASSING: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_INTERRUPT,
    }
)
"""Faults of the surroundings, which may be over when the same call is made again."""


def as_store_error(error: sqlite3.Error, place: str) -> StoreError:
    """The store's error for one of SQLite's, at `place`; a plain `StoreError` stands for a defect of ours."""
    # What Python's module finds out by itself has no code; the low byte is the primary one.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _PASSING:
        return StoreUnavailable(f"{place}: {error}")
    if code == sqlite3.SQLITE_NOTADB:
        return StoreMismatch(f"{place} is not a SQLite database")
    if code == sqlite3.SQLITE_CORRUPT:
        return CorruptHistory(f"{place}: {error}")
    return StoreError(f"{place}: {error}")
