"""The settings of schedules."""

from dataclasses import dataclass
from datetime import tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from unspool.eventstore.settings import BadSetting, setting


@dataclass(frozen=True, slots=True)
class ScheduleSettings:
    """How times are read."""

    timezone: str = setting("UNSPOOL_TIMEZONE", "UTC", "Time zone of `cron`, such as Europe/Berlin")

    def __post_init__(self) -> None:
        """Raises `BadSetting` for an unknown zone."""
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise BadSetting(
                f"UNSPOOL_TIMEZONE must be a time zone such as Europe/Berlin, not {self.timezone!r}"
            ) from None

    @property
    def zone(self) -> tzinfo:
        """The time zone."""
        return ZoneInfo(self.timezone)
