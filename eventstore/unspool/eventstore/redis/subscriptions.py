"""What commits have to do with published events, as arguments of `commit.lua`."""

from typing import Final

from unspool.eventstore.published_events import Subscription
from unspool.eventstore.records import Commit, MessageKind
from unspool.eventstore.redis.keys import Shard
from unspool.eventstore.redis.socket_connection import Argument

_EVENT: Final = MessageKind.EVENT


def changes_subscriptions(commit: Commit) -> bool:
    """Whether a commit opens or closes subscriptions."""
    return bool(commit.subscriptions or commit.subscriptions_closed)


def has_events(commit: Commit) -> bool:
    """Whether a commit opens or closes subscriptions, or acknowledges published events."""
    return changes_subscriptions(commit) or any(
        delivery.body.kind is _EVENT for delivery in commit.acknowledges
    )


def subscription_keys(shard: Shard) -> tuple[str, ...]:
    """The keys of a shard that a change of subscriptions needs, in the order of the script."""
    return (shard.subscribers, shard.subscriptions, shard.shapes, shard.matched, shard.matched_late)


def event_arguments(commit: Commit, subscribers: int) -> list[Argument]:
    """The arguments of a step that has to do with published events; `subscribers` is the number of a key."""
    execution = commit.key.id
    values: list[Argument] = [] if commit.outgoing else [0, b""]  # in place of an outbox entry
    values.append(subscribers if changes_subscriptions(commit) else 0)
    closed = [f"{execution} {run}" for run in commit.subscriptions_closed]
    values += (len(closed), *closed, len(commit.subscriptions))
    for subscription in commit.subscriptions:
        values += _opened(execution, subscription)
    ids = [delivery.id for delivery in commit.acknowledges if delivery.body.kind is _EVENT]
    return [*values, *ids, len(ids)]


def _opened(execution: str, subscription: Subscription) -> list[Argument]:
    values = [value for entry in subscription.entries for value in entry]
    return [f"{execution} {subscription.run}", len(values), *values]
