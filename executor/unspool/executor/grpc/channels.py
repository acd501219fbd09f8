"""Connections to gRPC servers. They are kept while they are used, and for some time after that."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc

from unspool.executor.grpc.failures import is_answer, no_connection
from unspool.executor.grpc.target import Target, address_of
from unspool.executor.outbound import CONNECT_SECONDS, Outbound

IDLE_SECONDS: Final = 60.0
"""How long an unused connection is kept."""


@dataclass(slots=True)
class _Open:
    channel: grpc.aio.Channel
    users: int = 0
    closing: asyncio.TimerHandle | None = None


_Key = tuple[Target, str]


class Channels:
    """Opens channels to the addresses that the egress policy allows."""

    def __init__(
        self, outbound: Outbound, max_message_bytes: int, idle_seconds: float = IDLE_SECONDS
    ) -> None:
        self._outbound = outbound
        self._max_message_bytes = max_message_bytes
        self._idle_seconds = idle_seconds
        self._open: dict[_Key, _Open] = {}
        self._closing: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def channel(self, target: Target) -> AsyncIterator[grpc.aio.Channel]:
        """A channel to a server. After an error of its user it is not used for further calls.

        The name is resolved and the policy is asked for each call. So a channel never connects to an address
        that was not allowed, or that the name does not have any more. The limits of the host apply.

        Raises:
            Rejected: the host does not answer; the call was not made.
            AddressRefused: no address is allowed.
            NoConnection: no connection could be made.
            OSError: the name does not resolve.
            UnicodeError: the name is not valid.
        """
        async with self._outbound.call(target.host, target.port) as answered:
            addresses = await self._outbound.addresses(target.host, target.port)
            try:
                async with self._used((target, address_of(addresses, target.port))) as channel:
                    yield channel
            except grpc.aio.AioRpcError as error:
                if is_answer(error):
                    answered()
                raise

    @asynccontextmanager
    async def _used(self, key: _Key) -> AsyncIterator[grpc.aio.Channel]:
        opened = self._open.get(key)
        if opened is None:
            opened = self._open[key] = _Open(self._connected(*key))
        if opened.closing is not None:
            opened.closing.cancel()
        opened.users += 1
        try:
            yield opened.channel
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE and self._open.get(key) is opened:
                del self._open[key]  # the next call connects at once; this channel would wait with that
            raise no_connection(error) or error from None
        finally:
            opened.users -= 1
            if not opened.users:
                kept = self._open.get(key) is opened
                loop = asyncio.get_running_loop()
                opened.closing = loop.call_later(
                    self._idle_seconds if kept else 0, self._close_unused, key, opened
                )

    async def close(self) -> None:
        """Closes all channels."""
        for opened in self._open.values():
            if opened.closing is not None:
                opened.closing.cancel()
            self._close(opened)
        self._open.clear()
        await asyncio.gather(*self._closing)

    def _close_unused(self, key: _Key, opened: _Open) -> None:
        if self._open.get(key) is opened:
            del self._open[key]
        self._close(opened)

    def _close(self, opened: _Open) -> None:
        task = asyncio.create_task(opened.channel.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _connected(self, target: Target, address: str) -> grpc.aio.Channel:
        options = [
            ("grpc.default_authority", target.authority),
            ("grpc.enable_http_proxy", 0),  # the environment of the executor decides nothing
            ("grpc.service_config_disable_resolution", 1),
            ("grpc.use_local_subchannel_pool", 1),  # so that a new channel makes a new connection
            ("grpc.min_reconnect_backoff_ms", int(CONNECT_SECONDS * 1000)),
            ("grpc.max_receive_message_length", self._max_message_bytes),
            ("grpc.max_send_message_length", self._max_message_bytes),
        ]
        if not target.tls:
            return grpc.aio.insecure_channel(address, options=options)
        options.append(("grpc.ssl_target_name_override", target.host))
        return grpc.aio.secure_channel(address, _tls(), options=options)


def _tls() -> grpc.ChannelCredentials:
    """Trusts the authorities of the system, as calls over HTTP do; without them, those of gRPC."""
    file = ssl.get_default_verify_paths().cafile
    return grpc.ssl_channel_credentials(Path(file).read_bytes() if file else None)
