"""The occurrences of a `schedule` (dsl-reference.md, "Schedule"; inventory C): pure arithmetic on times."""

from unspool.definitions.schedules.cron import BadCron, Cron, parse_cron
from unspool.definitions.schedules.interval import Interval
from unspool.definitions.schedules.schedule import Schedule, Series, parse_schedule

__all__ = ["BadCron", "Cron", "Interval", "Schedule", "Series", "parse_cron", "parse_schedule"]
