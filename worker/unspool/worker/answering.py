"""Answers the messages of one execution or schedule with one commit, after refusals with another one.

Another worker may commit first, or hold earlier events of the execution: a message that was returned to the
inbox may come behind later ones. A commit that consumes an event before an earlier one is refused.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from unspool.eventstore.port import EventStore
from unspool.eventstore.records import Delivery, Message
from unspool.eventstore.results import Outcome

APPLIED: Final = frozenset({Outcome.COMMITTED, Outcome.DUPLICATE})
"""Outcomes of a commit that is applied."""

OUT_OF_TURN: Final = frozenset({Outcome.ANSWERED, Outcome.EARLY})
"""Outcomes of a commit with an event that another worker has answered, or an earlier one of which it has.
The state from which it was decided is the present one."""

MAX_CONFLICTS: Final = 8
"""Conflicts after which the messages are released, to be delivered again later."""

_PAUSES: Final = (0.002, 0.004, 0.008, 0.016, 0.032)
"""Seconds before each further attempt with an event that is early. The worker with the earlier one needs some
time, or may be gone; then the messages are released."""


class Attempt(NamedTuple):
    """What came of an attempt to answer messages."""

    outcome: Outcome | None
    """Of the commit; None if the messages needed none and are acknowledged."""
    left: Sequence[Delivery[Message]] = ()
    """The messages that were not decided on; of a commit, the last ones."""


async def answer(
    store: EventStore,
    deliveries: Sequence[Delivery[Message]],
    attempt: Callable[[Sequence[Delivery[Message]]], Awaitable[Attempt]],
) -> Sequence[Delivery[Message]]:
    """Answers the first of some messages with one commit.

    Args:
        store: gets the messages back that cannot be answered now.
        deliveries: messages of one execution, its events in the order of the bus.
        attempt: decides on messages and commits. If it was refused, it is called again.

    Returns:
        The messages that need another commit.
    """
    some = deliveries
    conflicts, pauses = 0, iter(_PAUSES)
    while conflicts < MAX_CONFLICTS:
        outcome, left = await attempt(some)
        decided = len(some) - len(left)
        if outcome is None or outcome in APPLIED:
            return [*left, *deliveries[len(some) :]]
        if outcome not in OUT_OF_TURN:
            conflicts += 1
        elif decided > 1:
            some = _first_of(some[:decided])
        elif outcome is Outcome.ANSWERED:
            return deliveries[1:]
        elif (pause := next(pauses, None)) is not None:
            await asyncio.sleep(pause)
        else:
            break
    await store.release(deliveries)
    return ()


def _first_of(deliveries: Sequence[Delivery[Message]]) -> Sequence[Delivery[Message]]:
    """Returns the first messages, to be answered alone after all together were refused.

    Two batches of a worker may have the events of each other in between. Then neither can be committed as a
    whole; but the first event of one of them is the earliest in the inbox.
    """
    return deliveries[: max(1, len(deliveries) // 4)]
