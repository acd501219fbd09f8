"""Entries of streams that this release cannot read. They are moved to a separate stream for an operator."""

from collections.abc import Mapping
from typing import Final

from unspool.eventstore.records import MessageKind
from unspool.eventstore.redis import scripts
from unspool.eventstore.redis.codec import Unreadable, decode_message
from unspool.eventstore.redis.keys import Shard
from unspool.eventstore.redis.session import Session, log
from unspool.eventstore.redis.subscriptions import place_in_order

_PAGE: Final = 1_000


async def move_to_unreadable(
    session: Session, shard: Shard, source: str, role: str, entries: Mapping[bytes, str]
) -> None:
    """Moves entries of a stream to the unreadable ones of its shard.

    Args:
        session: of the store.
        shard: the shard.
        source: the stream.
        role: its consumer group.
        entries: the reason by the id of the entry.
    """
    if source == shard.inbox:  # before the entries are moved: a crash in between repeats both
        await _repair_order(session, shard)
    for id_, error in entries.items():
        values = (role, id_, error, "", 1)
        await session.run(scripts.MOVE_TO_DEAD_LETTERS, (source, shard.unreadable), values)
        log.error(
            "an entry of %s cannot be read and was moved to %s: %s", source, shard.unreadable, error,
            extra={"action": "entry_unreadable"},
        )  # fmt: skip


async def _repair_order(session: Session, shard: Shard) -> None:
    """Removes the places of messages that cannot be read from the order of the event messages.

    The place is in the message. So these are the places that no readable message has; later events of the
    execution would wait for them for ever. The places are read first: a message that is sent meanwhile is not
    among them, and one that is released meanwhile comes to the end of the inbox, which is read last.
    """
    unknown = {*await session.call("ZRANGE", shard.event_order, 0, -1)}
    after = "-"
    while unknown:
        page = await session.call("XRANGE", shard.inbox, after, "+", "COUNT", _PAGE)
        unknown -= {_place(fields[1]) for _, fields in page}
        if len(page) < _PAGE:
            break
        after = f"({page[-1][0].decode()}"
    if unknown:
        await session.call("ZREM", shard.event_order, *unknown)


def _place(payload: bytes) -> bytes:
    """The place of an event message in the order; empty for others."""
    try:
        message = decode_message(payload)
        return place_in_order(message).encode() if message.kind is MessageKind.EVENT else b""
    except (Unreadable, TypeError, KeyError, AttributeError):
        return b""
