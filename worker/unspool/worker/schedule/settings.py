"""The settings of schedules."""

from dataclasses import dataclass
from datetime import tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from unspool.eventstore.settings import BadSetting, setting
from unspool.worker.schedule.rules import Missed, Rules


@dataclass(frozen=True, slots=True)
class ScheduleSettings:
    """How times are read, and what happens to missed ones."""

    timezone: str = setting("UNSPOOL_TIMEZONE", "UTC", "Time zone of `cron`, such as Europe/Berlin")
    missed: str = setting(
        "UNSPOOL_SCHEDULE_MISSED",
        Missed.ONCE.value,
        "What happens to missed occurrences of a schedule: 'once' starts the newest, 'all' up to a thousand,"
        " 'skip' none",
    )

    def __post_init__(self) -> None:
        """Raises `BadSetting` for an unknown zone or policy."""
        if self.missed not in set(Missed):
            raise BadSetting(
                f"UNSPOOL_SCHEDULE_MISSED must be one of {', '.join(Missed)}, not {self.missed!r}"
            )
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

    @property
    def rules(self) -> Rules:
        """What `decide` needs of them."""
        return Rules(self.zone, Missed(self.missed))
