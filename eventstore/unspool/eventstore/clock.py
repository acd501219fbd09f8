"""The clock as a port, and the format of times."""

import time
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """A source of the current time."""

    def now(self) -> int:
        """Milliseconds since 1970 (UTC)."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        """Milliseconds since 1970 (UTC)."""
        return time.time_ns() // 1_000_000


def rfc3339(milliseconds: int) -> str:
    """A time, in milliseconds since 1970, as RFC 3339 with milliseconds and `Z`."""
    time_utc = _EPOCH + timedelta(milliseconds=milliseconds)
    return time_utc.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
