"""Opens connections to a store's file: creates, configures and checks them."""

import os
import sqlite3
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Final

from unspool.eventstore.errors import StoreMismatch, StoreUnavailable
from unspool.eventstore.sqlite.settings import SqliteSettings
from unspool.eventstore.sqlite.vacuum import INCREMENTAL

APPLICATION_ID: Final = 0x556E7370
"""Identifies a file as a store of Unspool (https://sqlite.org/pragma.html#pragma_application_id)."""

LAYOUT: Final = "1"
"""Version of `schema.sql`."""

_NEW_COLUMNS: Final = {
    ("executions", "parent"): "BLOB",
    ("executions", "idempotency_key"): "TEXT",
    ("executions", "kept_until"): "INTEGER",
    ("executions", "tags"): "BLOB",
    ("consumers", "load"): "TEXT NOT NULL DEFAULT 'busy'",
    ("consumers", "about"): "TEXT NOT NULL DEFAULT '[]'",
    ("inbox", "queued_at"): "INTEGER NOT NULL DEFAULT 0",
    ("tasks", "queued_at"): "INTEGER NOT NULL DEFAULT 0",
    ("look_backs", "place"): "INTEGER",
    ("accepted_events", "place"): "INTEGER NOT NULL DEFAULT 0",
}
"""The columns that earlier releases did not have, as in `schema.sql` and `events.sql`."""

_OLDEST_SQLITE: Final = (3, 35, 0)  # UPDATE … RETURNING
_INDEXES: Final = {
    "inbox_by_owner": ("inbox", ("owner", "tenant")),
    "tasks_by_owner": ("tasks", ("owner", "queue", "tenant")),
}
"""The indexes that release 0.1 had without the tenant, as in `schema.sql`."""
_NEW_TABLES: Final = {
    "acceptances": "acceptances.sql",
    "api_keys": "api_keys.sql",
    "buses": "events.sql",
    "functions": "functions.sql",
    "dropped": "retention.sql",
    "idempotency_keys": "idempotency_keys.sql",
    "sinks": "sinks.sql",
    "sources": "sources.sql",
    "texts": "texts.sql",
    "text_looks": "text_uses.sql",
    "rate_limits": "rate_limits.sql",
    "execution_tags": "tags.sql",
}
"""Tables that release 0.1 did not have, each with the script that adds it and those that belong to it."""

_CACHE_KIBIBYTES: Final = 32_768
_LARGEST_IDLE_WAL: Final = 64 * 1024 * 1024


def connect(path: Path | None, settings: SqliteSettings) -> sqlite3.Connection:
    """Opens a connection for writing; creates the file and its tables if they do not exist.

    Args:
        path: the file; None for a database in memory.
        settings: of this adapter.

    Raises:
        StoreMismatch: the file belongs to another program or has another layout.
        sqlite3.Error: it cannot be opened.
    """
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise StoreMismatch(f"SQLite 3.35 or later is needed, this is {sqlite3.sqlite_version}")
    if path is not None:
        _create_file(path)
    return _connection(path, settings, lambda connection: _prepare(connection, path, settings))


def connect_reader(path: Path, settings: SqliteSettings) -> sqlite3.Connection:
    """Opens a read-only connection to a file that `connect` has prepared."""
    return _connection(path, settings, lambda connection: connection.execute("PRAGMA query_only = ON"))


def unwritable_files(path: Path) -> list[Path]:
    """The files of a database that exist and that this process cannot write."""
    files = (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm")))
    return [file for file in files if file.exists() and not os.access(file, os.W_OK)]


def _connection(
    path: Path | None, settings: SqliteSettings, prepare: Callable[[sqlite3.Connection], object]
) -> sqlite3.Connection:
    """Opens a connection and prepares it; closes it if that fails."""
    connection = sqlite3.connect(
        path or ":memory:",
        timeout=settings.busy_seconds,
        isolation_level=None,  # transactions begin only by explicit statements
        cached_statements=256,
    )
    try:
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIBIBYTES}")
        prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _create_file(path: Path) -> None:
    """Creates the file, readable only by its owner: it stores inputs and outputs of workflows.

    A file that exists is not opened: when a process closes a file, it loses all its locks on that file, also
    those of other connections of SQLite (https://sqlite.org/howtocorrupt.html, section 2.2).
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # `Path.resolve` fails for a loop of links; SQLite says what is wrong with it.
        os.close(os.open(os.path.realpath(path), os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return
    except OSError as error:
        raise StoreUnavailable(f"{path}: {error.strerror}") from error


def _prepare(connection: sqlite3.Connection, path: Path | None, settings: SqliteSettings) -> None:
    # Checked first: setting the journal mode writes to the file, and another program's file must not change.
    connection.execute("BEGIN")  # one consistent read: another process may be creating the tables now
    empty = _is_empty(connection, path)
    connection.execute("COMMIT")
    if empty:
        connection.execute(
            f"PRAGMA auto_vacuum = {INCREMENTAL}"
        )  # before the first write, or it has no effect
    _use_write_ahead_log(connection, settings)
    if empty:
        _create_tables(connection, path)
    _check_layout(connection, path)
    _renew_indexes(connection)
    _add_columns(connection)
    _add_tables(connection)


def _is_empty(connection: sqlite3.Connection, path: Path | None) -> bool:
    if connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID:
        return False
    if connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        raise StoreMismatch(f"{path} is a SQLite database of another program")
    return True


def _use_write_ahead_log(connection: sqlite3.Connection, settings: SqliteSettings) -> None:
    # Changing the journal mode ignores the busy timeout while another process uses the file.
    give_up_at = time.monotonic() + settings.busy_seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY  # the low byte is the primary code
            if not busy or time.monotonic() > give_up_at:
                raise
            time.sleep(0.01)
    connection.execute(f"PRAGMA journal_size_limit = {_LARGEST_IDLE_WAL}")
    connection.execute(f"PRAGMA synchronous = {settings.synchronous}")


def _create_tables(connection: sqlite3.Connection, path: Path | None) -> None:
    connection.execute("BEGIN IMMEDIATE")
    # Another process may have created them while this one waited for the lock.
    if _is_empty(connection, path):
        _execute(connection, "schema.sql")
        connection.execute("INSERT INTO meta VALUES ('layout', ?)", (LAYOUT,))
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute("COMMIT")


def _renew_indexes(connection: sqlite3.Connection) -> None:
    """Adds the tenant to indexes of release 0.1, which uses them by these names."""
    if all(_columns_of(connection, index) == len(columns) for index, (_, columns) in _INDEXES.items()):
        return
    connection.execute("BEGIN IMMEDIATE")
    for index, (table, columns) in _INDEXES.items():
        if _columns_of(connection, index) < len(columns):  # another process may have done it meanwhile
            connection.execute(f"DROP INDEX {index}")
            connection.execute(f"CREATE INDEX {index} ON {table} ({', '.join(columns)})")
    connection.execute("COMMIT")


def _columns_of(connection: sqlite3.Connection, index: str) -> int:
    return len(connection.execute(f"PRAGMA index_info({index})").fetchall())


def _add_columns(connection: sqlite3.Connection) -> None:
    """Adds the columns that earlier releases did not have. Their programs can still use the file."""
    if not any(_lacks_column(connection, *names) for names in _NEW_COLUMNS):
        return
    connection.execute("BEGIN IMMEDIATE")
    for (table, column), definition in _NEW_COLUMNS.items():
        if _lacks_column(connection, table, column):  # another process may have added it meanwhile
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} {definition}")
    connection.execute("COMMIT")


def _add_tables(connection: sqlite3.Connection) -> None:
    """Adds the tables that release 0.1 did not have. Programs of that release can still use the file."""
    if all(_has_table(connection, table) for table in _NEW_TABLES):
        return
    connection.execute("BEGIN IMMEDIATE")
    for table, script in _NEW_TABLES.items():
        if not _has_table(connection, table):  # another process may have added it meanwhile
            _execute(connection, script)
    connection.execute("COMMIT")


def _has_table(connection: sqlite3.Connection, table: str) -> bool:
    query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
    return connection.execute(query, (table,)).fetchone() is not None


def _execute(connection: sqlite3.Connection, script: str) -> None:
    for statement in files(__package__).joinpath(script).read_text("utf-8").split(";\n"):
        connection.execute(statement)


def _lacks_column(connection: sqlite3.Connection, table: str, column: str) -> bool:
    """Whether a column has to be added; a table that does not exist yet is created with it."""
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})").fetchall()]
    return bool(columns) and column not in columns


def _check_layout(connection: sqlite3.Connection, path: Path | None) -> None:
    row = connection.execute("SELECT value FROM meta WHERE name = 'layout'").fetchone()
    if row != (LAYOUT,):
        found = row[0] if row else "none"
        raise StoreMismatch(f"{path} has layout {found}, this release supports layout {LAYOUT}")
