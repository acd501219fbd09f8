"""Events and the history entries that hold them.

A history is a list of entries. An entry holds the events of one commit, so they become visible together. The
version of a history is the sequence number of its last event: an entry whose last event is number 7 is stored
under version 7. A commit that expects version 4 while 7 is stored is a conflict.
"""

import zlib
from typing import Final, NamedTuple

import orjson

from unspool.definitions.json_value import Json
from unspool.eventstore.errors import CorruptHistory

FORMAT: Final = 1
"""Format of new entries. `decode_entry` also reads all older formats."""


class Event(NamedTuple):
    """One event of an execution.

    A named tuple, because creating one is three times as fast as creating a dataclass instance.
    """

    seq: int
    """Position in the history, from 1."""
    type: str
    """Short type, such as `task.completed`."""
    time: int
    """Time of the decision, in milliseconds since 1970 (UTC)."""
    task: str | None
    """JSON pointer of the task in the definition; None for the workflow itself."""
    run: str | None
    """Id of the run of that task (loops and retries have several)."""
    data: dict[str, Json]
    """Data that cannot be derived from the definition and earlier events."""


def encode_entry(events: tuple[Event, ...]) -> bytes:
    """The entry that holds the events of one commit: a CRC32 in hexadecimal, then JSON."""
    first = events[0]
    body = orjson.dumps([FORMAT, first.seq, first.time, [[e.type, e.task, e.run, e.data] for e in events]])
    return b"%08x" % zlib.crc32(body) + body


def decode_entry(entry: bytes) -> tuple[Event, ...]:
    """The events of one entry.

    Raises:
        CorruptHistory: the checksum does not match, or the entry has a format this release does not know.
    """
    body = entry[8:]
    if entry[:8] != b"%08x" % zlib.crc32(body):
        raise CorruptHistory("a history entry does not match its checksum")
    version, seq, time, events = orjson.loads(body)
    if version != FORMAT:
        raise CorruptHistory(f"a history entry has format {version}, this release knows {FORMAT}")
    return tuple(
        Event(seq + i, type_, time, task, run, data) for i, (type_, task, run, data) in enumerate(events)
    )
