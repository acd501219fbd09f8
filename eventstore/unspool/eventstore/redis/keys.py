"""The names of all keys. No other module of the adapter builds one.

The hash tag of all keys of executions is `{tenant:shard}`, so that all keys that one script uses are in one
slot of a cluster. The braces hold only a tenant's name and a number. Text from callers (ids, names, queues)
is last in a key, after a fixed word, so keys of different kinds cannot be equal.
"""

import zlib
from collections.abc import Iterable
from typing import Final, NamedTuple

from unspool.eventstore.ids import TENANT
from unspool.eventstore.records import ExecutionKey, Status

META: Final = "unspool:meta"
TENANTS: Final = "unspool:tenants"
SINKS: Final = "unspool:sinks"
"""Hash: the registered sinks, each with the time when it was last kept (ms)."""
SOURCES: Final = "unspool:sources"
"""Hash, with the name of a source of events after each field: when it was `seen` (ms), entries `published`
and `refused`, the last `failure`, `since` when it fails (ms)."""
FUNCTIONS: Final = "unspool:functions"
"""Hash: the functions of executors, `<name> <version> <queue>`, each with its schemas and the time (ms)."""
API_KEYS: Final = "unspool:keys"
"""Hash: the keys of the API's callers, by their ids."""
LOGIN_SESSIONS: Final = "unspool:sessions"
"""Sorted set: the ids of sessions, by their ends (ms). It lists them; each has a string of its own."""
TENANTS_CHANNEL: Final = "unspool:tenants:new"
"""Channel: tenants that are new in `TENANTS`."""
PUBLISHED_CHANNEL: Final = "unspool:published"
"""Channel: tenants with new events on their bus."""
TIMERS_CHANNEL: Final = "unspool:timers"
"""Channel: timers that are the earliest of their shard, `<due at, ms>@<topic of the shard>`."""
MEMBER_LEFT: Final = "left"
"""Topic of the channels of `ready`: a consumer of the role was deregistered."""


def members(role: str) -> str:
    """Hash: the consumers of a role, each with its last heartbeat."""
    return f"unspool:members:{role}"


def ready(role: str) -> str:
    """Channel: shards with new entries for a role, announced when there are many tenants."""
    return f"unspool:ready:{role}"


def rate_limit(limit: str) -> str:
    """String: the time of the next start at an even rate (microseconds)."""
    return f"unspool:limit:{limit}"


def login_session(id_: str) -> str:
    """String: a session of a caller of the API. It expires when the session ends."""
    return f"unspool:session:{id_}"


class Shard:
    """The keys of one shard of one tenant."""

    __slots__ = (
        "_prefix",
        "acceptances",
        "accepted",
        "cancelled",
        "delivered",
        "dlq",
        "dlq_runs",
        "ended",
        "event_order",
        "idempotency_keys",
        "ids",
        "inbox",
        "index",
        "look_backs",
        "matched",
        "matched_late",
        "matched_runs",
        "notifications",
        "number",
        "outbox",
        "shapes",
        "statuses",
        "subscribers",
        "subscriptions",
        "tenant",
        "timers",
        "topic",
        "unreadable",
    )

    def __init__(self, tenant: str, number: int) -> None:
        self.tenant = tenant
        self.number = number
        self.topic = f"{tenant}:{number}"
        self._prefix = prefix = f"unspool:{{{tenant}:{number}}}:"
        self.inbox = f"{prefix}inbox"
        self.timers = f"{prefix}timers"
        self.outbox = f"{prefix}outbox"  # stream: outgoing starts and messages, for executions of any shard
        self.delivered = f"{prefix}delivered"  # hash: last outbox entry delivered here, by its shard
        self.cancelled = f"{prefix}cancelled"
        self.dlq = f"{prefix}dlq"
        self.dlq_runs = f"{prefix}dlq:runs"  # hash: runs of dead-lettered tasks that are not cancelled
        self.unreadable = f"{prefix}unreadable"
        self.subscribers = f"{prefix}subscribers"  # sorted set: `<key> <execution> <run>`, all with score 0
        self.subscriptions = f"{prefix}subscriptions"  # hash: index entries by `<execution> <run>`
        self.event_order = f"{prefix}inbox:events"  # sorted set: `<execution> <order> <run>` of events
        self.shapes = f"{prefix}shapes"  # hash: how many index entries have a shape
        self.matched = f"{prefix}matched"  # hash: last `position` matched, version of `shapes` …
        self.matched_runs = f"{prefix}matched:runs"  # set: runs that have an event sent in pieces
        self.matched_late = f"{prefix}matched:late"  # set: runs that were subscribed meanwhile
        self.look_backs = f"{prefix}lookbacks"  # hash: what is still to be offered to runs that look back
        self.accepted = f"{prefix}accepted"  # sorted set: events consumed lately, `<execution> <digest>`
        self.acceptances = f"{prefix}accepted:log"  # stream: `<execution> <digest>` of events, the newest
        self.idempotency_keys = f"{prefix}keys"  # hash: the execution that has a key, by its digest
        self.index = f"{prefix}index"
        self.ended = f"{prefix}index:ended"  # sorted set: ended executions by when retention looks at them
        self.ids = f"{prefix}index:ids"  # sorted set: all ids, all with score 0
        self.notifications = f"{prefix}news"  # channel: ids of executions with new versions
        self.statuses = tuple(f"{prefix}index:status:{status}" for status in Status)

    def execution(self, id_: str) -> str:
        """Hash: version, last commit, status, workflow and times of an execution."""
        return f"{self._prefix}execution:{id_}"

    def input(self, id_: str) -> str:
        """String: the input of an execution without history."""
        return f"{self._prefix}input:{id_}"

    def history(self, id_: str) -> str:
        """Stream: the history of an execution, one entry a commit, `<version>-0`."""
        return f"{self._prefix}history:{id_}"

    def snapshot(self, id_: str) -> str:
        """String: the newest snapshot of an execution."""
        return f"{self._prefix}snapshot:{id_}"

    def tasks(self, queue: str) -> str:
        """Stream: the tasks of a queue."""
        return f"{self._prefix}tasks:{queue}"

    def status(self, status: Status) -> str:
        """Sorted set: executions of a status by time of creation."""
        return f"{self._prefix}index:status:{status}"

    def workflow(self, namespace: str, name: str) -> str:
        """Sorted set: executions of a workflow by time of creation."""
        return f"{self._prefix}index:workflow:{namespace}/{name}"

    def parent(self, execution: str) -> str:
        """Sorted set: the sub-workflows of an execution by time of creation."""
        return f"{self._prefix}index:parent:{execution}"

    def tag(self, name: str, value: str) -> str:
        """Sorted set: executions with a tag by time of creation. A name has no colon."""
        return f"{self._prefix}index:tag:{name}:{value}"


class Bus(NamedTuple):
    """The keys of the event bus of a tenant. They have a hash slot of their own: no shard is called `bus`."""

    tenant: str
    events: str
    """Stream: the published events."""
    ids: str
    """Sorted set: digests of `source` and `id` of the events published lately, by time."""
    delivered: str
    """Hash: the last outbox entry that was published here, by its shard."""
    state: str
    """Hash: `newest` event, how many were `published`, position `matched` by all shards, `holder` of events
    that are being matched."""
    sinks: str
    """Hash, with the name of a sink after each field: `position`, `holder` of events that are being sent,
    events `passed`, `sent`, `refused` and `dropped`, `failures`, the last `failure`, `since` when it fails
    (ms)."""


class TenantKeys(NamedTuple):
    """The keys of one tenant."""

    shards: tuple[Shard, ...]
    bus: Bus
    definitions: str
    """Set: namespaces and names."""
    definition_prefix: str
    text_prefix: str
    text_uses_prefix: str
    texts: str
    """Sorted set: hashes of texts by when retention looks at them (ms)."""

    def definition(self, namespace: str, name: str) -> str:
        """Hash: the versions of a definition."""
        return f"{self.definition_prefix}{namespace}/{name}"

    def text(self, sha256: str) -> str:
        """String: a text, by its hash."""
        return f"{self.text_prefix}{sha256}"

    def text_uses(self, sha256: str) -> str:
        """Hash: who may use a text, `<since> <until>` (ms) by workflow; since when it is `unused` (ms)."""
        return f"{self.text_uses_prefix}{sha256}"


class Keys:
    """The keys of a store with a fixed number of shards."""

    def __init__(self, shards: int) -> None:
        self.shards = shards
        self._tenants: dict[str, TenantKeys] = {}

    def tenant(self, tenant: str) -> TenantKeys:
        """The keys of a tenant.

        Raises:
            ValueError: the name is not valid; it could end the hash tag.
        """
        known = self._tenants.get(tenant)
        if known is None:
            known = self._tenants[tenant] = _tenant_keys(tenant, self.shards)
        return known

    def shard(self, key: ExecutionKey) -> Shard:
        """The shard of an execution; it never changes."""
        return self.shard_of(key[0], key[1])

    def shard_of(self, tenant: str, execution: str) -> Shard:
        """The shard of an execution, by tenant and id."""
        return self.tenant(tenant).shards[zlib.crc32(execution.encode()) % self.shards]

    def shard_named(self, topic: str) -> Shard:
        """The shard with this topic.

        Raises:
            ValueError: there is no such shard.
        """
        tenant, _, number = topic.partition(":")
        if not number.isdecimal() or int(number) >= self.shards:
            raise ValueError(f"not a shard: {topic!r}")
        return self.tenant(tenant).shards[int(number)]

    def all_shards(self, tenants: Iterable[str]) -> list[Shard]:
        """Every shard of some tenants."""
        return [shard for tenant in sorted(tenants) for shard in self.tenant(tenant).shards]


def _tenant_keys(tenant: str, shards: int) -> TenantKeys:
    if not TENANT.fullmatch(tenant):
        raise ValueError(f"not a tenant name: {tenant!r}")
    prefix = f"unspool:{{{tenant}}}:"
    bus = f"unspool:{{{tenant}:bus}}:"
    return TenantKeys(
        shards=tuple(Shard(tenant, number) for number in range(shards)),
        bus=Bus(tenant, f"{bus}events", f"{bus}ids", f"{bus}delivered", f"{bus}state", f"{bus}sinks"),
        definitions=f"{prefix}definitions",
        definition_prefix=f"{prefix}definition:",
        text_prefix=f"{prefix}text:",
        text_uses_prefix=f"{prefix}text-uses:",
        texts=f"{prefix}texts",
    )
