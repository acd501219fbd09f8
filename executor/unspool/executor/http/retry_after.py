"""Reads `Retry-After` (RFC 9110, 10.2.3): how long a service wants to be left alone. Pure."""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import ceil
from typing import Final

from unspool.definitions.errors import WorkflowError

MOST_SECONDS: Final = 24 * 3600
"""A longer time counts as this one: a service cannot stop a workflow for ever."""

_SECONDS: Final = re.compile(r"\s*(\d{1,12})\s*")


def with_retry_after(error: WorkflowError, headers: Mapping[str, str], now: datetime) -> WorkflowError:
    """The error of a response, with the time that the service asks for, if it does.

    Args:
        error: of the response.
        headers: of the response.
        now: the current time.
    """
    seconds = _seconds(headers, now) if error.status >= 400 else None
    return error if seconds is None else replace(error, retry_after=seconds)


def _seconds(headers: Mapping[str, str], now: datetime) -> int | None:
    written = headers.get("Retry-After")
    if written is None:
        return None
    if found := _SECONDS.fullmatch(written):
        return min(int(found[1]), MOST_SECONDS)
    at = _date(written)
    if at is None:
        return None
    # By the clock of the service, if it says what time it is.
    left = ceil((at - (_date(headers.get("Date", "")) or now)).total_seconds())
    return max(0, min(left, MOST_SECONDS))


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError, TypeError):
        return None
