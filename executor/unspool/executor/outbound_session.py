"""The HTTP session of an executor. It is a module of its own, because its library is slow to import."""

import socket
from typing import Final

import aiohttp

from unspool.executor.egress import AddressRefused, EgressPolicy

_KEEP_ALIVE_SECONDS: Final = 4.0
"""Shorter than the 5 seconds of common servers, so that the server rarely closes a reused connection."""


def opened_session(policy: EgressPolicy, connections: int, connect_seconds: float) -> aiohttp.ClientSession:
    """Returns a session that connects to the addresses that the policy allows. The caller closes it.

    Cookies are not kept, and proxies and `.netrc` of the environment are not used.
    """
    connector = aiohttp.TCPConnector(
        limit=connections,
        keepalive_timeout=_KEEP_ALIVE_SECONDS,
        socket_factory=_checked_socket_factory(policy),
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_seconds),
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
