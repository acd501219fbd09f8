"""The streams that a consumer reads now."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from unspool.eventstore.consumers import Consumer
from unspool.eventstore.redis.keys import Shard
from unspool.eventstore.redis.streams import NO_STREAMS, Streams, streams_of, without

_MAX_SELECTIONS: Final = 8


class Selected(NamedTuple):
    """The streams that a consumer may read now, and those that it prefers."""

    any: Streams
    own: Streams
    own_shards: dict[bytes, Shard]
    """The shards that it prefers, by topic."""


class Selection:
    """Selects streams by tenants and queues."""

    def __init__(self, consumer: Consumer) -> None:
        """Selects nothing before `use`."""
        self.all = NO_STREAMS
        self._consumer = consumer
        self._shards: Sequence[Shard] = ()
        self._preferred_shards: Sequence[Shard] = ()
        self._selected: dict[tuple[frozenset[str], frozenset[str]], Selected] = {}

    def use(self, streams: Streams, shards: Sequence[Shard], preferred: Sequence[Shard]) -> None:
        """Selects from streams of some shards, of which the consumer prefers some."""
        self.all = streams
        self._shards = shards
        self._preferred_shards = preferred
        self._selected.clear()

    def select(self, skip: frozenset[str], quiet: frozenset[str]) -> Selected:
        """Returns the streams without those of some tenants; it prefers queues that are not quiet."""
        selected = self._selected.get((skip, quiet))
        if selected is None:
            if len(self._selected) >= _MAX_SELECTIONS:
                self._selected.clear()
            selected = self._selected[skip, quiet] = self._select(skip, quiet)
        return selected

    def _select(self, skip: frozenset[str], quiet: frozenset[str]) -> Selected:
        own_shards = without(skip, self._preferred_shards)
        any_ = streams_of(self._consumer, without(skip, self._shards)) if skip else self.all
        all_own = len(self._preferred_shards) == len(self._shards) and not quiet
        own = any_ if all_own else streams_of(self._consumer, own_shards, quiet)
        return Selected(any_, own, {shard.topic.encode(): shard for shard in own_shards})
