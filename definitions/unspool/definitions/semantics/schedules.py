"""Checks `schedule`: whether its times can be computed (inventory C)."""

from datetime import UTC
from typing import Any

from unspool.definitions.durations import BadDuration
from unspool.definitions.findings import Findings
from unspool.definitions.idempotency import POINTER, key_problem
from unspool.definitions.json_pointer import child
from unspool.definitions.schedules.cron import BadCron, parse_cron
from unspool.definitions.schedules.schedule import parse_interval
from unspool.definitions.semantics.splitting import is_whole

_POINTER = "/schedule"


def check_schedule(findings: Findings) -> None:
    """Checks the schedule, if there is one."""
    schedule = findings.document.value.get("schedule")
    if not isinstance(schedule, dict) or not findings.is_clean(_POINTER):
        return
    if not schedule.keys() & {"every", "cron", "after", "on"}:
        findings.error(_POINTER, "a schedule needs at least one of every, cron, after, on", at_key=True)
    for name in ("every", "after"):
        if name in schedule:
            _check_duration(name, schedule[name], findings)
    _warn_of_missing_key(schedule, findings)
    if "cron" in schedule:
        try:
            parse_cron(schedule["cron"], UTC)
        except BadCron as bad:
            findings.error_in_text(child(_POINTER, "cron"), bad.offset, str(bad))


def _warn_of_missing_key(schedule: dict[str, Any], findings: Findings) -> None:
    """Warns of times that start nothing, because the input `{}` has no idempotency key."""
    times = [name for name in ("every", "cron", "after") if name in schedule]
    if not times or not findings.is_clean("/document"):
        return
    problem = key_problem(findings.document.value, {})
    if problem is not None:
        message = f"'{times[0]}' starts nothing, because its input {{}} has no key: {problem}"
        findings.warning(POINTER, message)


def _check_duration(name: str, value: Any, findings: Findings) -> None:
    pointer = child(_POINTER, name)
    if isinstance(value, str) and is_whole(value):
        message = "a schedule has no data for an expression; write a duration such as 'PT1H'"
        findings.error(pointer, message)
    elif name == "every":
        try:
            parse_interval(value)
        except BadDuration as bad:
            findings.error(pointer, str(bad))
