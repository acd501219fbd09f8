"""Decides to which network addresses a workflow may connect. Pure.

The policy checks the resolved address just before a socket is connected to it, so neither a spelling such as
`0x7f.1` nor a name that resolves differently the second time bypasses it.
"""

import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address
Endpoint = tuple[str, int]
"""Host name or address, and port."""


class AddressScope(StrEnum):
    """Which networks calls may use."""

    PRIVATE = "private"
    """Loopback, private networks and the internet, except the addresses that are always refused."""
    PUBLIC = "public"
    """Only addresses of the public internet."""


class AddressRefused(OSError):
    """An address is not allowed. The message never depends on the address, so it reveals nothing about it."""

    def __init__(self) -> None:
        super().__init__("workflows may not connect to this address")


_ALWAYS_REFUSED: Final = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # unspecified; connects to this host
        "169.254.0.0/16",  # link-local, metadata of most clouds
        "100.100.100.200/32",  # metadata, Alibaba
        "168.63.129.16/32",  # wire server, Azure
        "192.0.0.192/32",  # metadata, Oracle
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "::/128",
        "fe80::/10",  # link-local
        "fec0::/10",  # site-local, abolished
        "fd00:ec2::254/128",  # metadata, AWS
        "fd20:ce::254/128",  # metadata, Google
        "ff00::/8",  # multicast
        "2001::/32",  # Teredo hides two IPv4 addresses
    )
)
_WITH_IPV4: Final = tuple(
    IPv6Network(text)
    for text in (
        "::/96",  # IPv4-compatible
        "::ffff:0:0:0/96",  # IPv4-translated
        "64:ff9b::/96",  # NAT64
        "64:ff9b:1::/48",  # NAT64, local use
    )
)
"""Networks whose addresses end in an IPv4 address."""


def unwrapped(address: Address) -> Address:
    """The IPv4 address inside an IPv6 address, or the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if int(address) > 1 and any(address in network for network in _WITH_IPV4):  # not :: and ::1
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def is_own(address: Address) -> bool:
    """Whether an address belongs to this machine, that is, whether a socket can be bound to it."""
    if address.is_loopback:
        return True
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """Checks where sockets may be connected to."""

    scope: AddressScope
    store: frozenset[tuple[Address, int]] = frozenset()
    """Addresses of the event store, which holds the data of every tenant."""
    is_own: Callable[[Address], bool] = is_own

    def allows(self, host: str, port: int) -> bool:
        """Whether a socket may be connected to this address (not name) and port."""
        address = unwrapped(ip_address(host))
        if any(address in network for network in _ALWAYS_REFUSED) or self._is_store(address, port):
            return False
        return self.scope is AddressScope.PRIVATE or (address.is_global and not address.is_loopback)

    def _is_store(self, address: Address, port: int) -> bool:
        if (address, port) in self.store:
            return True
        # A store on this machine can be reached by each address of this machine.
        local = any(at == port and self.is_own(known) for known, at in self.store)
        return local and self.is_own(address)


_DEFAULT_PORTS: Final = {"redis": 6379, "rediss": 6379, "postgresql": 5432, "postgres": 5432}


def store_endpoints(url: str) -> tuple[Endpoint, ...]:
    """The servers in a store URL: two in `redis+cluster://a:1,b:2`, none in `sqlite://`."""
    split = urlsplit(url)
    scheme, _, variant = split.scheme.partition("+")
    if scheme not in _DEFAULT_PORTS:
        return ()
    default = 26379 if variant == "sentinel" else _DEFAULT_PORTS[scheme]
    hosts = split.netloc.rpartition("@")[2].split(",")
    return tuple(
        (one.hostname or "localhost", one.port or default)
        for one in (urlsplit(f"//{host}") for host in hosts)
    )


def resolve(endpoints: Iterable[Endpoint]) -> frozenset[tuple[Address, int]]:
    """The current addresses of the servers, without names that do not resolve. Blocks on DNS."""
    return frozenset(
        (unwrapped(ip_address(sockaddr[0])), port)
        for host, port in endpoints
        for *_, sockaddr in _lookup(host, port)
    )


def _lookup(host: str, port: int) -> list[tuple[int, int, int, str, tuple[str, int]]]:
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)  # type: ignore[return-value]
    except OSError:
        return []
