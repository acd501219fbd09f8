"""State shared by all parts of the adapter: the command connection, the keys, the known tenants."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from unspool.eventstore.errors import StoreError, StoreMismatch, StoreUnavailable
from unspool.eventstore.event_settings import EventSettings
from unspool.eventstore.port import HEARTBEAT_SECONDS
from unspool.eventstore.records import DEFAULT_TENANT
from unspool.eventstore.redis import keys
from unspool.eventstore.redis.connection import Call, Connection
from unspool.eventstore.redis.keys import Keys, Shard
from unspool.eventstore.redis.new_tenants import NewTenants
from unspool.eventstore.redis.notifications import Notifications
from unspool.eventstore.redis.settings import RedisSettings
from unspool.eventstore.redis.socket_connection import SocketConnection, raw_connection

FORMAT: Final = b"1"
"""Layout of keys and entries. A store of another layout is refused."""

DEFAULT_SHARDS: Final = 16
BLOCK_SECONDS: Final = HEARTBEAT_SECONDS
"""The longest blocking read; after it, members and tenants are refreshed."""

_FEW_TENANTS: Final = 8
_DATA_LOST: Final = "Redis has lost the data of this store, or is another Redis"

log = logging.getLogger("unspool.eventstore.redis")


class Session:
    """A connection to a Redis store, from `open` to `close`."""

    def __init__(
        self, url: str, settings: RedisSettings, events: EventSettings, monotonic: Callable[[], float]
    ) -> None:
        self.settings = settings
        self.events = events
        self.retention = int(events.retention_seconds * 1000)
        """How long events are kept for runs that look back, in milliseconds."""
        self.monotonic = monotonic
        self.closed = False
        self._url = url
        self._keys: Keys | None = None
        self._epoch: bytes | None = None
        self._data_lost = False
        self._tenants = {DEFAULT_TENANT}
        self._tenants_read_at: float | None = None
        self.sinks: tuple[str, ...] = ()
        """The registered sinks, as read with the tenants."""
        self._commands = self.connection(settings.reply_seconds)
        self.notifications = Notifications(self._open_socket, settings.reply_seconds)
        """Notifications of new versions and timers."""
        self.new_tenants = NewTenants(self.notifications, self._tenants.update)
        self.call = self._commands.call
        """Sends a command on the shared connection."""
        self.run = self._commands.run
        """Runs a script on the shared connection."""
        self.post = self._commands.post
        """Sends a command on the shared connection, ahead of later calls, and ignores its reply."""

    @property
    def keys(self) -> Keys:
        """The names of the store's keys."""
        if self._keys is None:
            raise StoreUnavailable("the store has not been opened")
        return self._keys

    def connection(
        self, reply_timeout: float, on_connect: Callable[[Call], Awaitable[None]] | None = None
    ) -> Connection:
        """A separate connection, for calls that block."""
        return Connection(
            self._url,
            connect_seconds=self.settings.connect_seconds,
            reply_timeout=reply_timeout,
            on_connect=on_connect or self.check_identity,
        )

    def unblock(self, client: int) -> None:
        """Ends the blocking read of another connection, ahead of later calls."""
        self.post("CLIENT", "UNBLOCK", client)

    async def open(self) -> None:
        """Initializes an empty store, or checks its layout."""
        shards = self.settings.shards
        for field, value in (
            ("format", FORMAT),
            ("shards", shards or DEFAULT_SHARDS),
            ("epoch", secrets.token_hex(8)),
        ):
            await self.call("HSETNX", keys.META, field, value)
        format_, stored, self._epoch = await self.call("HMGET", keys.META, "format", "shards", "epoch")
        if format_ != FORMAT:
            raise StoreMismatch(f"the store has layout {format_!r}, this release knows {FORMAT!r}")
        if shards and shards != int(stored):
            raise StoreMismatch(
                f"the store was made with {int(stored)} shards, not {shards} (UNSPOOL_SHARDS)"
            )
        self._keys = Keys(int(stored))

    async def close(self) -> None:
        """Closes the shared connections."""
        self.closed = True
        await self._commands.close()
        await self.new_tenants.close()
        await self.notifications.close()

    @property
    def has_many_tenants(self) -> bool:
        """Whether one blocking read of all streams would be slow. Then new entries are announced."""
        return len(self._tenants) > _FEW_TENANTS

    def announce(self, role: str, shards: Iterable[Shard], *, member_left: bool = False) -> None:
        """Tells the readers of a role which shards have new entries, if there are many tenants."""
        if self.has_many_tenants:
            topics = [shard.topic for shard in shards]
            if member_left:
                topics.append(keys.MEMBER_LEFT)
            if topics:
                self.post("PUBLISH", keys.ready(role), " ".join(topics))

    async def add_tenant(self, tenant: str) -> None:
        """Registers a tenant for all readers; call it before the first write to a stream of the tenant."""
        if tenant not in self._tenants:
            self.keys.tenant(tenant)  # refuses an invalid name
            if await self.call("SADD", keys.TENANTS, tenant):
                self.post("PUBLISH", keys.TENANTS_CHANNEL, tenant)
            self._tenants.add(tenant)
        await self.tenants()  # updates `has_many_tenants`

    async def milliseconds(self) -> int:
        """The time of Redis in milliseconds since 1970."""
        seconds, microseconds = await self.call("TIME")
        return int(seconds) * 1000 + int(microseconds) // 1000

    async def tenants(self, *, fresh: bool = False) -> set[str]:
        """All tenants, read within the last second or, if `fresh`, now."""
        now = self.monotonic()
        read_at = self._tenants_read_at
        if fresh or read_at is None or now - read_at >= HEARTBEAT_SECONDS:
            self._tenants_read_at = now if read_at is not None else None  # others need not read them, too
            try:
                await self._read_tenants()
            except BaseException:
                self._tenants_read_at = None
                raise
            self._tenants_read_at = now
        return self._tenants

    async def _read_tenants(self) -> None:
        # The check finds a Redis that was emptied without breaking the connection.
        stored, sinks, _ = await asyncio.gather(
            self.call("SMEMBERS", keys.TENANTS),
            self.call("HKEYS", keys.SINKS),
            self.check_identity(self.call),
        )
        self.sinks = tuple(sink.decode() for sink in sinks)
        self._tenants |= {tenant.decode() for tenant in stored}

    async def _open_socket(
        self, received: Callable[[Any], None], ended: Callable[[StoreError], None]
    ) -> SocketConnection:
        raw = await raw_connection(self._url, self.settings.connect_seconds)
        if self.closed:  # meanwhile
            await raw.disconnect(nowait=True)
            raise StoreUnavailable("the store was closed")
        return SocketConnection(raw, received, ended)

    async def check_identity(self, call: Call) -> None:
        """Checks that this Redis holds the store that was opened.

        Raises:
            StoreMismatch: Redis lost its data, or is another Redis.
        """
        if self._epoch is not None and await call("HGET", keys.META, "epoch") != self._epoch:
            if not self._data_lost:
                self._data_lost = True
                log.critical(_DATA_LOST, extra={"action": "redis_data_lost"})
            raise StoreMismatch(_DATA_LOST)
