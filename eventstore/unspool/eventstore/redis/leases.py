"""Decides when a lease has ended, by renewals and this process's clock, not by the clock of Redis alone.

Redis measures idle times with its wall clock. If that clock jumps, all entries seem idle. So an entry that
seems idle is first observed for another lease: its holder, if it is alive, renews it in this time.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple


class IdleEntry(NamedTuple):
    """A pending entry that Redis reports as idle for longer than the lease."""

    stream: str
    id: bytes
    holder: bytes
    times_delivered: int


class IdleEntries:
    """The idle entries of consecutive observations."""

    def __init__(self) -> None:
        self._since: dict[IdleEntry, float] = {}

    def observe(self, entries: Iterable[IdleEntry], now: float) -> None:
        """Replaces the entries. An entry that is missing was renewed or finished: its observation ends."""
        self._since = {entry: self._since.get(entry, now) for entry in entries}

    def expired(self, lease: float, now: float) -> list[IdleEntry]:
        """The entries that were idle in all observations of the last `lease` seconds."""
        return [entry for entry, since in self._since.items() if now - since >= lease]


def idle_entries(names: Sequence[str], flat: list[Any]) -> list[IdleEntry]:
    """The idle entries in a reply of `reclaim`: number of the stream, id, holder, deliveries."""
    rows = zip(flat[::4], flat[1::4], flat[2::4], flat[3::4], strict=True)
    return [IdleEntry(names[number - 1], id_, holder, times) for number, id_, holder, times in rows]
