"""The clock as a port, and the format of times."""

import time
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_EARLIEST: Final = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MILLISECOND
_LATEST: Final = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MILLISECOND


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
    """A time, in milliseconds since 1970, as RFC 3339 with milliseconds and `Z`. As `instant`."""
    return instant(milliseconds).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def instant(milliseconds: int) -> datetime:
    """A time, in milliseconds since 1970, in UTC.

    One before the year 1 or after 9999, which a timer can have, becomes the nearest time of these years.
    """
    return _EPOCH + timedelta(milliseconds=min(max(milliseconds, _EARLIEST), _LATEST))
