"""Matches events with subscriptions, in one transaction for each piece."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import orjson

from unspool.eventstore.published_events import Shapes
from unspool.eventstore.records import MessageKind
from unspool.eventstore.sqlite import look_backs
from unspool.eventstore.sqlite.bus_retention import Dropped, Kept, delete_old
from unspool.eventstore.sqlite.connection_thread import Transaction
from unspool.eventstore.sqlite.mixin import INSERT_MESSAGE
from unspool.eventstore.sqlite.notifications import INBOX

_MAX_MESSAGES: Final = 1_000
"""Messages in one transaction, at most: others wait for it."""

_MAX_BYTES: Final = 1 << 20
"""The same for their events; but at least one message is sent."""

_BUS: Final = "SELECT shapes_version, matched, sent_to FROM buses WHERE tenant = ?"
_SHAPES: Final = "SELECT shape FROM shapes WHERE tenant = ? ORDER BY shape"
_SUBSCRIBED: Final = (
    "SELECT DISTINCT number FROM subscription_keys WHERE tenant = ? AND key = ? AND number > ?"
    " ORDER BY number LIMIT ?"
)
_RECEIVER: Final = "SELECT execution, run FROM subscriptions WHERE number = ?"
_HAS_GOT: Final = "SELECT 1 FROM bus_receivers WHERE tenant = ? AND execution = ? AND run = ?"
_GOT: Final = "INSERT INTO bus_receivers (tenant, execution, run) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_FORGET_RECEIVERS: Final = "DELETE FROM bus_receivers WHERE tenant = ?"
_ADVANCE: Final = "UPDATE buses SET matched = ?, sent_to = ? WHERE tenant = ?"
_LET_GO: Final = "UPDATE buses SET holder = NULL WHERE tenant = ?"


class KnownShapes(NamedTuple):
    """The shapes of a tenant, with their version."""

    version: int
    shapes: Shapes


class Keyed(NamedTuple):
    """An event with its keys."""

    position: int
    event: bytes
    keys: Sequence[str]


class Piece(NamedTuple):
    """The result of a transaction."""

    sent: int
    complete: bool
    """Whether all events are matched."""
    dropped: Sequence[Dropped] = ()


def match_piece(
    transaction: Transaction, tenant: str, version: int, events: Sequence[Keyed], kept: Kept
) -> Piece | KnownShapes | None:
    """Sends the next messages; or changes nothing and returns the shapes, if they have another version.

    Returns None, without changes, if runs look back: they must get earlier events first.
    """
    if transaction.execute(look_backs.ANY, (tenant,)).fetchone():
        return None
    current, matched, sent_to = transaction.execute(_BUS, (tenant,)).fetchone()
    if current != version:
        rows = transaction.execute(_SHAPES, (tenant,)).fetchall()
        return KnownShapes(current, tuple(shape for [shape] in rows))
    if events[-1].position <= matched:  # a late batch: another process may send the event after it in pieces
        return Piece(0, complete=True)
    sent = 0
    for keyed in events:
        if keyed.position <= matched:
            continue
        room = max(1, min(_MAX_MESSAGES - sent, _MAX_BYTES // len(keyed.event)))
        numbers = _subscribed(transaction, tenant, keyed.keys, sent_to, room)
        receivers = _receivers(transaction, tenant, numbers, in_pieces=sent_to > 0)
        _send(transaction, tenant, keyed.event, receivers)
        sent += len(receivers)
        if len(numbers) == room:  # there may be more
            transaction.executemany(_GOT, [(tenant, *receiver) for receiver in receivers])
            transaction.execute(_ADVANCE, (matched, numbers[-1], tenant))
            return Piece(sent, complete=False)
        if sent_to:
            transaction.execute(_FORGET_RECEIVERS, (tenant,))
        matched, sent_to = keyed.position, 0
    transaction.execute(_ADVANCE, (matched, 0, tenant))
    transaction.execute(_LET_GO, (tenant,))
    dropped = delete_old(transaction, tenant, matched, kept)
    return Piece(sent, complete=True, dropped=dropped)


def _subscribed(
    transaction: Transaction, tenant: str, keys: Sequence[str], after: int, most: int
) -> list[int]:
    """The next subscriptions with one of the keys, by number; at most `most`."""
    found = {
        number
        for key in keys
        for [number] in transaction.execute(_SUBSCRIBED, (tenant, key, after, most)).fetchall()
    }
    return sorted(found)[:most]


def _receivers(
    transaction: Transaction, tenant: str, numbers: Sequence[int], *, in_pieces: bool
) -> list[tuple[str, str]]:
    """Executions and runs of subscriptions, without those that have got the event before."""
    receivers = [transaction.execute(_RECEIVER, (number,)).fetchone() for number in numbers]
    if not in_pieces:
        return receivers
    return [each for each in receivers if not transaction.execute(_HAS_GOT, (tenant, *each)).fetchone()]


def _send(transaction: Transaction, tenant: str, event: bytes, receivers: Sequence[tuple[str, str]]) -> None:
    rows = [
        (tenant, execution, MessageKind.EVENT.value, b'{"run":%b,"event":%b}' % (orjson.dumps(run), event))
        for execution, run in receivers
    ]
    transaction.executemany(INSERT_MESSAGE, rows)
    if rows:
        transaction.topics.add(INBOX)
