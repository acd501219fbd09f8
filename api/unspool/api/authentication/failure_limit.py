"""Limits attempts with wrong credentials, by the address that they come from.

A key cannot be guessed. The limit protects the store from the reads that attempts cost. Callers behind one
proxy share an address, so a key that the process knows is accepted in any case.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Final

from starlette.requests import Request

BURST: Final = 20
"""Failures that may follow each other at once."""

SECONDS: Final = 1.0
"""Seconds after which one more failure is allowed."""

MOST_ADDRESSES: Final = 4096

_PREFIX: Final = 64
"""Bits of an IPv6 address that are those of one network: a sender can choose the others."""

_MOST_NAME: Final = 64
"""Characters of an address of another form, which a proxy may name."""


class FailureLimit:
    """The failures of each address, as a rate (generic cell rate algorithm). It belongs to one process."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._even: OrderedDict[str, float] = OrderedDict()

    def seconds_to_wait(self, address: str) -> float:
        """Returns after how many seconds an address may try again; 0 if it may try now."""
        return max(0.0, self._even.get(address, 0.0) - (BURST - 1) * SECONDS - self._monotonic())

    def count(self, address: str) -> None:
        """Counts a failure.

        Attempts at once can all pass the limit. An address has to wait for one of them, not for each.
        """
        now = self._monotonic()
        self._even[address] = (
            min(max(self._even.pop(address, 0.0), now), now + (BURST - 1) * SECONDS) + SECONDS
        )
        if len(self._even) > MOST_ADDRESSES:
            self._even.popitem(last=False)


def address_of(request: Request) -> str:
    """Returns the address that a request comes from, of IPv6 its network."""
    host = request.client.host if request.client else ""
    try:
        address = ip_address(host)
    except ValueError:
        return host[:_MOST_NAME]
    if not isinstance(address, IPv6Address):
        return host
    mapped = address.ipv4_mapped
    return str(mapped) if mapped else str(IPv6Network((int(address), _PREFIX), strict=False))
