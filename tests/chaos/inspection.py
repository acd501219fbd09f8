"""Reads the queues and tables of a store without its port."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Protocol

from tests.conftest import RedisServer


class Inspection(Protocol):
    """The queues of a store."""

    def leftovers(self) -> dict[str, int]:
        """Messages, tasks, timers, outbox entries, dead letters and subscriptions that are stored, by place.

        Also buses with events that are not matched. Empty if there is nothing.
        """

    def delivered_messages(self) -> int:
        """Returns the number of messages that a worker took and did not acknowledge."""

    def blocks(self) -> bool:
        """Whether a suspended process keeps others from writing."""


class RedisInspection:
    """The streams and sets of a Redis store."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server

    def leftovers(self) -> dict[str, int]:
        """See `Inspection`."""
        with self._server.admin as admin:
            sizes = {}
            for key in map(bytes.decode, admin.scan_iter("unspool:{*")):
                if key.endswith(("}:outbox", "}:inbox", "}:dlq", "}:unreadable")) or "}:tasks:" in key:
                    sizes[key] = admin.xlen(key)
                    for group in admin.xinfo_groups(key):
                        sizes[f"pending {key}"] = group["pending"]
                elif key.endswith(("}:timers", "}:subscribers", "}:inbox:events")):
                    sizes[key] = admin.zcard(key)
                elif key.endswith(("}:subscriptions", "}:shapes")):
                    sizes[key] = admin.hlen(key)
                elif key.endswith(("}:matched:late", "}:matched:runs")):
                    sizes[key] = admin.scard(key)
                elif key.endswith(":bus}:state"):
                    newest, matched = admin.hmget(key, "newest", "matched")
                    sizes[key] = newest is not None and newest != matched
        return {key: size for key, size in sizes.items() if size}

    def delivered_messages(self) -> int:
        """See `Inspection`."""
        with self._server.admin as admin:
            count = 0
            for key in admin.scan_iter("unspool:{*}:inbox"):
                for group in admin.xinfo_groups(key):
                    count += len(admin.xrange(key, "-", group["last-delivered-id"]))
        return count

    def blocks(self) -> bool:
        """See `Inspection`."""
        return False


TABLES = (
    *("inbox", "tasks", "timers", "dead_letters"),
    *("subscriptions", "subscription_keys", "shapes", "bus_receivers"),
)
"""The tables of a SQLite store that are empty when nothing is under way."""


class SqliteInspection:
    """The tables of a SQLite store."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def leftovers(self) -> dict[str, int]:
        """See `Inspection`."""
        sizes = {table: self._number(f"SELECT count(*) FROM {table}") for table in TABLES}
        sizes["buses"] = self._number("SELECT count(*) FROM buses WHERE newest > matched OR sent_to > 0")
        return {table: size for table, size in sizes.items() if size}

    def delivered_messages(self) -> int:
        """See `Inspection`."""
        return self._number("SELECT count(*) FROM inbox WHERE owner IS NOT NULL")

    def blocks(self) -> bool:
        """See `Inspection`."""
        with closing(sqlite3.connect(self._path, timeout=0.1, isolation_level=None)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return True
            connection.execute("ROLLBACK")
        return False

    def _number(self, query: str) -> int:
        with closing(sqlite3.connect(self._path, timeout=10)) as connection:
            number: int = connection.execute(query).fetchone()[0]
        return number
