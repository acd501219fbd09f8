"""What `unspool encryption status` tells of each key: what needs it, and whether it can be removed."""

import gzip
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from unspool.cli.exits import CommandError
from unspool.cli.files import opened_file
from unspool.definitions.json_value import Json
from unspool.eventstore.encryption.key_ring import KeyRing
from unspool.eventstore.encryption.key_use import PLAIN, SEALED_IN_BYTES, KeyUse
from unspool.eventstore.operations import LiveConsumer
from unspool.eventstore.stored_records import RecordKind

ARCHIVES: Final = "archives"

_NAMES: Final[dict[str, str]] = {
    RecordKind.EXECUTION: "records of executions",
    RecordKind.HISTORY: "events of histories",
    RecordKind.SNAPSHOT: "snapshots",
    RecordKind.MESSAGE: "messages",
    RecordKind.TASK: "tasks",
    RecordKind.OUTGOING: "starts, messages and events on their way",
    RecordKind.EVENT: "published events",
    RecordKind.DEAD_LETTER: "dead letters",
    RecordKind.TEXT: "texts of resources",
    RecordKind.UNREADABLE: "entries that cannot be read",
    ARCHIVES: "archived files",
}

_SEALED: Final = re.compile(b'"' + SEALED_IN_BYTES)
_PIECE: Final = 1 << 20
_LONGEST: Final = 128
"""Bytes that the two ends of a piece share: more than the longest beginning of an encrypted payload."""


class KeyStatus(NamedTuple):
    """A key, or what is plain."""

    id: str
    """`PLAIN` for what is not encrypted."""
    role: str
    """`encrypts`, `decrypts`, `missing` or `none`."""
    records: dict[str, int]
    """How many records of each kind need it."""
    users: list[str]
    """The services that encrypt with it."""

    @property
    def removable(self) -> bool:
        """Whether the key can be removed from the file."""
        return self.role == "decrypts" and not self.records and not self.users

    def json(self) -> dict[str, Json]:
        """The status as a line of JSON."""
        return {
            "key": self.id or None,
            "role": self.role,
            "removable": self.removable,
            "records": dict(self.records),
            "encryptedBy": list(self.users),
        }

    def sentence(self) -> str:
        """Says what needs the key."""
        parts = [f"{count} {_NAMES[kind]}" for kind, count in self.records.items()]
        needed = ", ".join(parts) or "nothing"
        if self.id == PLAIN:
            return f"plain: {needed}"
        what = f"{self.id} ({self.role}): {needed}"
        if self.users and self.role != "encrypts":
            return f"{what}; {', '.join(self.users)} still encrypts with it"
        return f"{what}; it can be removed" if self.removable else what


def key_statuses(
    ring: KeyRing, use: KeyUse, archived: Counter[str], services: Sequence[LiveConsumer], *, encrypts: bool
) -> Iterator[KeyStatus]:
    """Yields the keys of the ring, in their order, then the other ones in use, and what is plain."""
    in_ring = [key.id for key in ring.keys]
    others = {*use, *archived, *(each.keys.encrypts for each in services)} - {*in_ring, PLAIN}
    for id_ in (*in_ring, *sorted(others), PLAIN):
        records = {kind.value: use[id_][kind] for kind in RecordKind if use[id_][kind]}
        if archived[id_]:
            records[ARCHIVES] = archived[id_]
        users = [f"the {each.service} {each.name}" for each in services if id_ and each.keys.encrypts == id_]
        yield KeyStatus(id_, _role(id_, in_ring, encrypts=encrypts), records, users)


def keys_of_archive(directory: Path) -> Counter[str]:
    """Counts the files of an archive by the keys that they need. Reads each file once, in pieces.

    Raises:
        CommandError: a file cannot be read, is damaged, or is not in gzip.
    """
    found: Counter[str] = Counter()
    for path in sorted(directory.rglob("*.gz")):
        found.update(_keys_of_file(path))
    return found


def _keys_of_file(path: Path) -> set[str]:
    keys: set[str] = set()
    before = b""
    with opened_file(str(path), regular=True) as file, gzip.open(file) as decompressed:
        try:
            while piece := decompressed.read(_PIECE):
                keys.update(key.decode() for key in _SEALED.findall(before + piece))
                before = piece[-_LONGEST:]
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise CommandError(f"{path}: the compressed data is damaged: {error}") from None
    return keys


def _role(id_: str, in_ring: Sequence[str], *, encrypts: bool) -> str:
    if id_ == PLAIN:
        return "none"
    if id_ not in in_ring:
        return "missing"
    return "encrypts" if encrypts and in_ring[0] == id_ else "decrypts"
