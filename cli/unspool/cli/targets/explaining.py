"""Says why executions of a store wait. Only this needs the interpreter and jq, which are slow to import."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager

from unspool.api.waiting import why
from unspool.cli.jq import jq_pool
from unspool.cli.targets.port import JsonObject
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import ExecutionKey


@contextmanager
def explaining(
    environment: Mapping[str, str],
) -> Iterator[Callable[[EventStore, ExecutionKey], Awaitable[JsonObject]]]:
    """Yields a function that returns why an execution waits. Its jq processes end with the context."""
    with jq_pool(environment) as jq:
        yield lambda store, key: why(store, jq, key)
