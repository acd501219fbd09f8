"""The order of events in the messages of an execution.

A message that was returned to the inbox may come behind later ones. A commit that consumes an event before an
earlier one is refused, so the earlier one has to be decided on first.
"""

from collections.abc import Sequence
from typing import Final

from unspool.eventstore.records import Delivery, Message, MessageKind, Outcome

RETURNED: Final = frozenset({Outcome.ANSWERED, Outcome.EARLY})
"""Outcomes after which messages are returned: another worker has one of the events, or an earlier one."""

PAUSE_SECONDS: Final = 0.05
"""How long a worker keeps such messages. The other worker needs some time, or may be gone."""


def first_of(deliveries: Sequence[Delivery[Message]]) -> Sequence[Delivery[Message]]:
    """Returns the first messages, to be answered alone after all together were refused.

    Two batches of a worker may have the events of each other in between. Then neither can be committed as a
    whole; but the first event of one of them is the earliest in the inbox.
    """
    return deliveries[: max(1, len(deliveries) // 4)]


def in_bus_order(deliveries: list[Delivery[Message]]) -> list[Delivery[Message]]:
    """Returns messages of one execution with its events in the order of the bus; others keep their places."""
    places = [place for place, each in enumerate(deliveries) if each.body.kind is MessageKind.EVENT]
    if len(places) < 2:
        return deliveries
    ordered = [*deliveries]
    for place, each in zip(places, sorted((deliveries[place] for place in places), key=_order), strict=True):
        ordered[place] = each
    return ordered


def _order(delivery: Delivery[Message]) -> str:
    return str(delivery.body.body.get("order", ""))
