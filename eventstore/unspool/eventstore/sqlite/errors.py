"""Translates SQLite's errors to the store's."""

import sqlite3
from typing import Final

from unspool.eventstore.errors import CorruptHistory, StoreError, StoreMismatch, StoreUnavailable

_TRANSIENT: Final = frozenset(
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
"""Errors of the environment: the same call may succeed later."""


def as_store_error(error: sqlite3.Error, name: str) -> StoreError:
    """The store's error for an error of SQLite in the store `name`; a plain `StoreError` is a bug."""
    # Errors raised by Python's module itself have no code. The low byte is the primary code.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _TRANSIENT:
        return StoreUnavailable(f"{name}: {error}")
    if code == sqlite3.SQLITE_NOTADB:
        return StoreMismatch(f"{name} is not a SQLite database")
    if code == sqlite3.SQLITE_CORRUPT:
        return CorruptHistory(f"{name}: {error}")
    return StoreError(f"{name}: {error}")
