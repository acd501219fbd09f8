"""The connections of an executor. The egress policy checks every address before a socket connects to it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from unspool.executor.egress import AddressRefused, EgressPolicy
from unspool.executor.limits.limits import Limits

if TYPE_CHECKING:
    import aiohttp

CONNECT_SECONDS: Final = 10.0

_WEB_PORTS: Final = frozenset({80, 443})


@dataclass(slots=True)
class Outbound:
    """Makes connections to the addresses that the egress policy allows."""

    policy: EgressPolicy
    limits: Limits
    connections: int
    """Of the HTTP session, at most."""
    _session: "aiohttp.ClientSession | None" = field(default=None, init=False)

    @property
    def session(self) -> "aiohttp.ClientSession":
        """The HTTP session, opened with its first use. Requests share pooled connections and nothing else."""
        if self._session is None:
            from unspool.executor.outbound_session import opened_session  # noqa: PLC0415 - slow to import

            self._session = opened_session(self.policy, self.connections, CONNECT_SECONDS)
        return self._session

    async def close(self) -> None:
        """Closes the HTTP session."""
        if self._session is not None:
            await self._session.close()

    def call(self, host: str, port: int) -> AbstractAsyncContextManager[Callable[[], None]]:
        """Waits until the limits of a host let a call begin; see `Limits.call`.

        The target of a limit has the port, unless it is that of HTTP or HTTPS.
        """
        name = host.lower()
        return self.limits.call(name if port in _WEB_PORTS else f"{name}:{port}")

    async def addresses(self, host: str, port: int) -> list[str]:
        """The allowed addresses of a server, for libraries that make their connections themselves.

        They must get an address and not the name, which may resolve to another address the next time.

        Raises:
            AddressRefused: no address is allowed.
            OSError: the name does not resolve.
        """
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except UnicodeError:  # a label of the name is empty or too long
            raise socket.gaierror(socket.EAI_NONAME, "the host name is not valid") from None
        allowed = [str(each[4][0]) for each in found if self.policy.allows(str(each[4][0]), port)]
        if not allowed:
            raise AddressRefused
        return allowed

    async def connect(self, host: str, port: int) -> socket.socket:
        """A socket that is connected to a server. The caller closes it.

        Raises:
            AddressRefused: no address is allowed.
            OSError: the name does not resolve, or no connection could be made.
            TimeoutError: there was no connection within `CONNECT_SECONDS`.
        """
        return (await self._connected(host, port))[1]

    async def reachable_address(self, host: str, port: int) -> str:
        """An allowed address at which a server accepts connections. Raises as `connect`.

        For libraries that take one address and make the connection themselves.
        """
        address, connection = await self._connected(host, port)
        connection.close()
        return address

    async def _connected(self, host: str, port: int) -> tuple[str, socket.socket]:
        addresses = await self.addresses(host, port)
        async with asyncio.timeout(CONNECT_SECONDS):
            for address in addresses[:-1]:
                try:
                    return address, await _connected(address, port)
                except OSError:
                    continue
            return addresses[-1], await _connected(addresses[-1], port)


async def _connected(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, (address, port))
    except BaseException:
        connection.close()
        raise
    return connection


@asynccontextmanager
async def opened_outbound(policy: EgressPolicy, limits: Limits, connections: int) -> AsyncIterator[Outbound]:
    """The connections of an executor. Those of its HTTP session close with the context."""
    outbound = Outbound(policy, limits, connections)
    try:
        yield outbound
    finally:
        await outbound.close()
