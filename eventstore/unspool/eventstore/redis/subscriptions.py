"""What commits have to do with published events, as arguments of `commit.lua`."""

from typing import Final

from unspool.eventstore.cloud_events import digest_of
from unspool.eventstore.published_events import CloudEvent, Subscription
from unspool.eventstore.records import Commit, Message, MessageKind
from unspool.eventstore.redis.keys import Shard
from unspool.eventstore.redis.socket_connection import Argument

_EVENT: Final = MessageKind.EVENT

_ORDER: Final = 7
"""The place of the order of events in `event_keys`."""


def has_events(commit: Commit) -> bool:
    """Whether a commit opens or closes subscriptions, or acknowledges published events."""
    if commit.uses_subscriptions:
        return True
    for delivery in commit.acknowledges:  # noqa: SIM110 - a generator would cost each step more than the loop
        if delivery.body.kind is _EVENT:
            return True
    return False


def event_keys(shard: Shard) -> tuple[str, ...]:
    """The keys of a shard that a commit needs for published events, in the order of the script."""
    subscribed = (shard.subscribers, shard.subscriptions, shard.shapes, shard.matched, shard.matched_late)
    return (*subscribed, shard.look_backs, shard.accepted, shard.event_order, shard.acceptances)


def event_arguments(commit: Commit, subscribers: int, retention: int) -> list[Argument]:
    """The arguments of a step that has to do with published events.

    Args:
        commit: the step.
        subscribers: the number of a key.
        retention: how long events are kept for runs that look back, in milliseconds.
    """
    values: list[Argument] = [] if commit.outgoing else [0, b""]  # in place of an outbox entry
    if commit.uses_subscriptions:
        values += (subscribers, retention, *_changes(commit))
    else:
        values.append(0)
    events = [delivery for delivery in commit.acknowledges if delivery.body.kind is _EVENT]
    for delivery in events:
        values += (delivery.id, place_in_order(delivery.body))
    return [*values, len(events), subscribers + _ORDER]


def place_in_order(message: Message) -> str:
    """The member of an `event` message in the order of the event messages of a shard."""
    return f"{message.execution} {message.body.get('order', '')} {message.body['run']}"


def accepted_member(execution: str, event: CloudEvent) -> bytes:
    """How the set of accepted events names an event that an execution has consumed."""
    return b"%b %b" % (execution.encode(), digest_of(event))


def _changes(commit: Commit) -> list[Argument]:
    execution = commit.key.id
    consumed = [accepted_member(execution, event) for event in commit.consumed]
    closed = [f"{execution} {run}" for run in commit.subscriptions_closed]
    values: list[Argument] = [len(consumed), *consumed, len(closed), *closed, len(commit.subscriptions)]
    for subscription in commit.subscriptions:
        values += _opened(execution, subscription)
    return values


def _opened(execution: str, subscription: Subscription) -> list[Argument]:
    values = [value for entry in subscription.entries for value in entry]
    looks_back = 1 + subscription.consumed_later if subscription.look_back else 0
    return [f"{execution} {subscription.run}", looks_back, len(values), *values]
