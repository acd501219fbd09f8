"""What all parts of the adapter share: the command connection, the keys, the tenants there are."""

import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from unspool.eventstore.errors import StoreError, StoreMismatch, StoreUnavailable
from unspool.eventstore.port import HEARTBEAT_SECONDS
from unspool.eventstore.records import DEFAULT_TENANT
from unspool.eventstore.redis import keys
from unspool.eventstore.redis.connection import Call, Connection
from unspool.eventstore.redis.keys import Keys
from unspool.eventstore.redis.link import Argument, Link, connected_wire
from unspool.eventstore.redis.news import News
from unspool.eventstore.redis.scripts import Script
from unspool.eventstore.redis.settings import RedisSettings

FORMAT: Final = b"1"
"""Layout of keys and entries. A store of another layout is refused."""

DEFAULT_SHARDS: Final = 16
BLOCK_SECONDS: Final = HEARTBEAT_SECONDS
"""The longest blocking read; after it, who lives and which tenants there are is looked at again."""

log = logging.getLogger("unspool.eventstore.redis")


class Session:
    """One use of a Redis store, from `open` to `close`."""

    def __init__(self, url: str, settings: RedisSettings, monotonic: Callable[[], float]) -> None:
        self.settings = settings
        self.monotonic = monotonic
        self.closed = False
        self._url = url
        self._keys: Keys | None = None
        self._epoch: bytes | None = None
        self._tenants = {DEFAULT_TENANT}
        self._tenants_read_at: float | None = None
        self._commands = self.connection(settings.reply_seconds)
        self.news = News(self._linked, settings.reply_seconds)
        """Tells of new versions and timers."""
        self.call = self._commands.call
        """Sends a command on the shared connection."""

    @property
    def keys(self) -> Keys:
        """The names of the store's keys."""
        if self._keys is None:
            raise StoreUnavailable("the store has not been opened")
        return self._keys

    def connection(
        self, silence: float, greet: Callable[[Call], Awaitable[None]] | None = None
    ) -> Connection:
        """A connection of its own, for what would keep others waiting."""
        return Connection(
            self._url,
            connect_seconds=self.settings.connect_seconds,
            silence=silence,
            greet=greet or self.recognise,
        )

    def unblock(self, client: int) -> None:
        """Ends the blocking read of another connection, before anything is done that is asked for later."""
        self._commands.post("CLIENT", "UNBLOCK", client)

    async def run(self, script: Script, names: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """Runs a script on the shared connection."""
        return await self._commands.run(script, names, arguments)

    async def open(self) -> None:
        """Claims the store for this layout, or checks that it has it."""
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
        """Lets go of the shared connections."""
        self.closed = True
        await self._commands.close()
        await self.news.close()

    async def add_tenant(self, tenant: str) -> None:
        """Makes a tenant known to all who read streams; to be done before anything is put into one."""
        if tenant not in self._tenants:
            self.keys.tenant(tenant)  # refuses what is no tenant's name
            await self.call("SADD", keys.TENANTS, tenant)
            self._tenants.add(tenant)

    async def tenants(self, *, fresh: bool = False) -> set[str]:
        """All tenants, as of a second ago or, if `fresh`, of now."""
        now = self.monotonic()
        read_at = self._tenants_read_at
        if fresh or read_at is None or now - read_at >= HEARTBEAT_SECONDS:
            self._tenants |= {tenant.decode() for tenant in await self.call("SMEMBERS", keys.TENANTS)}
            self._tenants_read_at = now
        return self._tenants

    async def _linked(self, received: Callable[[Any], None], ended: Callable[[StoreError], None]) -> Link:
        wire = await connected_wire(self._url, self.settings.connect_seconds)
        return Link(wire, received, ended)

    async def recognise(self, call: Call) -> None:
        """Refuses a Redis that is not the one we know.

        Raises:
            StoreMismatch: it came back empty, or is another one.
        """
        if self._epoch is not None and await call("HGET", keys.META, "epoch") != self._epoch:
            log.critical(
                "Redis has lost the data of this store, or is another Redis",
                extra={"action": "redis_data_lost"},
            )
            raise StoreMismatch("Redis has lost the data of this store, or is another Redis")
