"""The HTTP session of an executor. The egress policy checks every address before a socket connects to it."""

import socket
from typing import Final

import aiohttp

from unspool.executor.egress import AddressRefused, EgressPolicy

CONNECT_SECONDS: Final = 10.0

_KEEP_ALIVE_SECONDS: Final = 4.0
"""Shorter than the 5 seconds of common servers, so that the server rarely closes a reused connection."""


def open_session(policy: EgressPolicy, connections: int) -> aiohttp.ClientSession:
    """A session for all calls of an executor. The caller closes it. Needs a running event loop.

    Calls share pooled connections and nothing else: cookies are not kept, and proxies and `.netrc` of the
    environment are not used.
    """
    connector = aiohttp.TCPConnector(
        limit=connections,
        keepalive_timeout=_KEEP_ALIVE_SECONDS,
        socket_factory=_checked_socket_factory(policy),
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
        headers={"User-Agent": "unspool"},
        trust_env=False,
    )


def _checked_socket_factory(policy: EgressPolicy) -> aiohttp.SocketFactoryType:
    def checked_socket(info: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = info
        if not policy.allows(str(address[0]), int(address[1])):
            raise AddressRefused
        return socket.socket(family, kind, protocol)

    return checked_socket
