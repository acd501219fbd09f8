"""The server of a call, from the arguments of a task. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from unspool.definitions.errors import configuration
from unspool.definitions.json_value import Json
from unspool.executor.outcome import Rejected

TLS_PORT: Final = 443
"""The default port, and the one where TLS is the default."""

_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Target:
    """A server."""

    host: str
    port: int
    tls: bool

    @property
    def authority(self) -> str:
        """As the server is told whom it is called as."""
        return f"{self.host}:{self.port}"


def target_of(service: Json, *, tls: bool | None = None) -> Target:
    """The server of a service.

    Args:
        service: the evaluated `service` of the task.
        tls: whether to use TLS; None decides by the port.

    Raises:
        Rejected: the host or the port cannot be used.
    """
    host, port = service.get("host"), service.get("port", TLS_PORT)
    if not isinstance(host, str) or not _HOST.fullmatch(host):
        raise Rejected(configuration("service.host must be the name or the address of a host"))
    if isinstance(port, bool) or not isinstance(port, int) or not 1 <= port <= 65535:
        raise Rejected(configuration("service.port must be a number from 1 to 65535"))
    return Target(host, port, port == TLS_PORT if tls is None else tls)


def address_of(addresses: Iterable[str], port: int) -> str:
    """The address of a channel that tries these addresses in order, and resolves no name.

    A channel has one family of addresses, so with an IPv6 address all others become IPv6 addresses, too.
    """
    unique = list(dict.fromkeys(addresses))
    if not any(":" in address for address in unique):
        return "ipv4:" + ",".join(f"{address}:{port}" for address in unique)
    mapped = (address if ":" in address else f"::ffff:{address}" for address in unique)
    return "ipv6:" + ",".join(f"[{address}]:{port}" for address in mapped)
