"""Checks of a SQLite file: its file system, the write-ahead log, free disk."""

import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from unspool.eventstore.operations import Finding, Inspection
from unspool.eventstore.sqlite.connection_thread import Transaction
from unspool.eventstore.sqlite.database import Database
from unspool.eventstore.sqlite.file import unwritable_files

_NETWORK: Final = frozenset(
    {"9p", "afs", "ceph", "cifs", "fuse.sshfs", "glusterfs", "lustre", "nfs", "nfs4", "smb3", "smbfs"}
)
"""File systems over a network. Their locks do not protect a SQLite file
(https://sqlite.org/faq.html#q5), and a write-ahead log needs shared memory."""

_MOUNTS: Final = Path("/proc/self/mountinfo")
_LEAST_FREE_BYTES: Final = 256 << 20
_LARGE_LOG_BYTES: Final = 512 << 20


async def inspected(database: Database) -> Inspection:
    """Checks the file of a database."""
    began = time.perf_counter()
    journal, synchronous = await database.read(_pragmas)
    facts: dict[str, str | int | float | bool | None] = {
        "kind": "sqlite",
        "version": sqlite3.sqlite_version,
        "file": None if database.path is None else str(database.path),
        "journalMode": journal,
        "synchronous": synchronous,
        "roundTripSeconds": round(time.perf_counter() - began, 6),
        "clockAheadSeconds": 0.0,
    }
    if database.path is None:
        return Inspection(facts, [_in_memory()])
    facts |= _file_facts(database.path)
    return Inspection(facts, list(_findings(facts)))


def _pragmas(transaction: Transaction) -> tuple[str, int]:
    [journal] = transaction.execute("PRAGMA journal_mode").fetchone()
    [synchronous] = transaction.execute("PRAGMA synchronous").fetchone()
    return journal, synchronous


def _file_facts(path: Path) -> dict[str, str | int | None]:
    log = path.with_name(path.name + "-wal")
    return {
        "fileBytes": path.stat().st_size,
        "logBytes": log.stat().st_size if log.exists() else 0,
        "freeBytes": shutil.disk_usage(path.parent).free,
        "fileSystem": file_system_of(path.resolve()),
    }


def file_system_of(path: Path, mounts: Path = _MOUNTS) -> str | None:
    """The type of the file system of a file (proc(5), `mountinfo`); None if the system does not tell it."""
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return None
    found: dict[Path, str] = {}
    for line in lines:
        mount, _, rest = line.partition(" - ")
        place = mount.split(" ")[4].encode().decode("unicode_escape")  # blanks are written as \\040
        found[Path(place)] = rest.split(" ")[0]
    return next((found[place] for place in (path, *path.parents) if place in found), None)


def _findings(facts: dict[str, str | int | float | bool | None]) -> Iterator[Finding]:
    if facts["fileSystem"] in _NETWORK:
        yield Finding(
            "file system",
            True,
            f"{facts['file']} is on a network file system ({facts['fileSystem']}): its locks may not work",
            "move the file to a disk of this machine, or use Redis",
        )
    for file in unwritable_files(Path(str(facts["file"]))):
        yield Finding(
            "access",
            True,
            f"{file} cannot be written by this user",
            "change its owner or mode: services end with exit code 5",
        )
    if facts["journalMode"] != "wal":
        yield Finding(
            "journal",
            True,
            f"the journal mode is {facts['journalMode']}: readers and writers block each other",
            "let the next service set it to wal, and use a file system that supports shared memory",
        )
    free, log = facts["freeBytes"], facts["logBytes"]
    if isinstance(free, int) and free < _LEAST_FREE_BYTES:
        yield Finding(
            "disk",
            True,
            f"the disk has {free >> 20} MiB left",
            "free some space: with a full disk all executions wait",
        )
    if isinstance(log, int) and log > _LARGE_LOG_BYTES:
        yield Finding(
            "journal",
            False,
            f"the write-ahead log has {log >> 20} MiB: something reads the file for a long time",
            "look for programs that keep a transaction open",
        )


def _in_memory() -> Finding:
    return Finding("persistence", False, "the store is in memory: it ends with its process", "use a file")
