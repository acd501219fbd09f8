"""What a sink and a source are, and how sending can fail."""

from collections.abc import Sequence
from typing import Protocol


class NotSent(Exception):
    """Events could not be sent; the same events are sent again later. The message is one line."""

    def __init__(self, reason: str, *, retry_after: float = 0.0) -> None:
        """`retry_after`: seconds that the sink asks the sender to wait."""
        super().__init__(reason)
        self.retry_after = retry_after


class Unreachable(NotSent):
    """The sink does not answer. So no other events can be sent either."""


class Refused(NotSent):
    """The sink does not accept one of these events. It may accept others."""


class Sink(Protocol):
    """A place outside to which published events are sent."""

    name: str
    """Under this name the store remembers its place."""
    batch: int
    """How many events one call of `send` gets, at most."""

    async def send(self, tenant: str, events: Sequence[bytes]) -> None:
        """Sends events of a tenant, in order; each is a CloudEvent as JSON (structured mode).

        Raises:
            NotSent: some or all of them may not have arrived.
        """


class Source(Protocol):
    """A place outside whose events are published."""

    async def run(self) -> None:
        """Publishes events until `stop`."""

    def stop(self) -> None:
        """Asks it to finish."""
