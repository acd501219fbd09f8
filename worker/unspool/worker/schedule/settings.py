"""The settings of schedules."""

from dataclasses import dataclass
from datetime import tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from unspool.definitions.event_reading import Read
from unspool.eventstore.settings import BadSetting, setting
from unspool.worker.schedule.rules import Missed, Rules


@dataclass(frozen=True, slots=True)
class ScheduleSettings:
    """How times and events are read, and what happens to missed times."""

    timezone: str = setting("UNSPOOL_TIMEZONE", "UTC", "Time zone of `cron`, such as Europe/Berlin")
    missed: str = setting(
        "UNSPOOL_SCHEDULE_MISSED",
        Missed.ONCE.value,
        "What happens to missed occurrences of a schedule: 'once' starts the newest, 'all' up to a thousand,"
        " 'skip' none",
    )
    read: str = setting(
        "UNSPOOL_SCHEDULE_READ",
        Read.DATA.value,
        "What an execution gets of the events that start it, if `schedule.read` is absent: 'data', 'envelope'"
        " or 'raw'",
    )
    archive: str = setting(
        "UNSPOOL_ARCHIVE",
        "",
        "Directory to which the oldest events of schedules are written before they are deleted; empty: none",
    )

    def __post_init__(self) -> None:
        """Raises `BadSetting` for an unknown zone or value."""
        if self.missed not in set(Missed):
            raise BadSetting(
                f"UNSPOOL_SCHEDULE_MISSED must be one of {', '.join(Missed)}, not {self.missed!r}"
            )
        if self.read not in set(Read):
            raise BadSetting(f"UNSPOOL_SCHEDULE_READ must be one of {', '.join(Read)}, not {self.read!r}")
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            known = "" if available_timezones() else ": this machine has none; pip install 'unspool[tzdata]'"
            raise BadSetting(
                f"UNSPOOL_TIMEZONE must be a time zone such as Europe/Berlin, not {self.timezone!r}{known}"
            ) from None

    @property
    def zone(self) -> tzinfo:
        """The time zone."""
        return ZoneInfo(self.timezone)

    @property
    def rules(self) -> Rules:
        """What `decide` needs of them."""
        return Rules(self.zone, Missed(self.missed), Read(self.read))
