"""Starts of executions as keys and arguments of the scripts that create them."""

from typing import NamedTuple

import orjson

from unspool.eventstore.built_in import is_built_in
from unspool.eventstore.records import ExecutionRecord, Start, Status, start_message
from unspool.eventstore.redis.codec import encode_message, encode_parent, encode_tags
from unspool.eventstore.redis.keys import Shard
from unspool.eventstore.redis.socket_connection import Argument


class PreparedStart(NamedTuple):
    """The keys and values of one execution, as `create.lua` documents them."""

    names: tuple[str, ...]
    values: tuple[Argument, ...]


def shared_keys(shard: Shard) -> tuple[str, ...]:
    """The keys that `create` needs for all executions of a shard."""
    return shard.inbox, shard.index, shard.status(Status.PENDING), shard.ids


def indexes_of(shard: Shard, execution: Start | ExecutionRecord) -> tuple[str, ...]:
    """The indexes by workflow, parent and tags that an execution is in."""
    workflow, parent = execution.workflow, execution.parent
    names = [shard.workflow(workflow.namespace, workflow.name)]
    if parent is not None and not is_built_in(parent.execution):
        names.append(shard.parent(parent.execution))
    return (*names, *(shard.tag(*tag) for tag in execution.tags.items()))


def prepared(shard: Shard, start: Start) -> PreparedStart:
    """Returns the keys and values of a start."""
    id_ = start.key.id
    names = (shard.execution(id_), shard.input(id_), *indexes_of(shard, start))
    values = (
        id_,
        start.created_at,
        orjson.dumps([*start.workflow]),
        orjson.dumps(start.input),
        encode_message(start_message(start)),
        encode_parent(start.parent),
        start.idempotency_key or "",
        encode_tags(start.tags) if start.tags else b"",
        len(names),
    )
    return PreparedStart(names, values)
