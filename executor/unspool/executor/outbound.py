"""The one way out: an HTTP session whose every socket is vetted by the egress policy as it is connected."""

import socket
from typing import Final

import aiohttp

from unspool.executor.egress import AddressRefused, EgressPolicy

CONNECT_SECONDS: Final = 10.0

_KEEP_ALIVE_SECONDS: Final = 4.0
"""Shorter than the 5 seconds of common servers, so that a request seldom meets a connection being closed."""


def open_session(policy: EgressPolicy, connections: int) -> aiohttp.ClientSession:
    """A session for all calls of an executor. Close it. To be called with a running event loop.

    Connections are pooled; cookies are not kept, proxies and `.netrc` of the environment not used: nothing
    passes from one call to another but the connection.
    """
    connector = aiohttp.TCPConnector(
        limit=connections,
        keepalive_timeout=_KEEP_ALIVE_SECONDS,
        socket_factory=_vetting_factory(policy),
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
        headers={"User-Agent": "unspool"},
        trust_env=False,
    )


def _vetting_factory(policy: EgressPolicy) -> aiohttp.SocketFactoryType:
    def vetted(info: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = info
        if not policy.allows(str(address[0]), int(address[1])):
            raise AddressRefused
        return socket.socket(family, kind, protocol)

    return vetted
