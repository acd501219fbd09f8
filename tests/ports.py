"""Ports for servers that a test starts by a number.

The system gives other ports to clients, and to servers that ask for any port. So no other program gets a port
between the moment when a test chooses it and the moment when a server listens. Processes of one run choose
among different ports.
"""

import itertools
import os
import random
import socket
from collections.abc import Iterator

_PORTS = range(11_000, 32_768)
"""Below those that Linux gives itself (`net.ipv4.ip_local_port_range`)."""


def _in_random_order() -> Iterator[int]:
    """The ports of this process. Another run on the machine begins elsewhere."""
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    mine = list(_PORTS[process::processes])
    random.SystemRandom().shuffle(mine)
    return itertools.cycle(mine)


_mine = _in_random_order()


def free_port() -> int:
    """A port on which nothing listens."""
    return next(port for port in _mine if _is_free(port))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
