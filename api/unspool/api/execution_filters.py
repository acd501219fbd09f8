"""Filters of executions as callers write them, for API and CLI."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from unspool.definitions.tag_name import MAX_TAGS
from unspool.eventstore import ids
from unspool.eventstore.listing import ExecutionFilter
from unspool.eventstore.records import Status
from unspool.eventstore.tags import BadTags, check_tag

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_AGE: Final = re.compile(r"[0-9]{1,9}[smhd]")
_PREFIX: Final = "*"


class BadFilter(ValueError):
    """A filter has a value that it cannot have. The text names the filter and its form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterTexts:
    """The values of a filter, as texts."""

    statuses: Sequence[str] = ()
    """Each may have several, with commas between them."""
    workflow: str | None = None
    """NAMESPACE/NAME or NAMESPACE/NAME:VERSION."""
    since: str | None = None
    until: str | None = None
    id: str | None = None
    """An id, or the beginning of ids with `*` behind it."""
    parent: str | None = None
    tags: Sequence[str] = ()
    """`NAME:VALUE` each."""


def read_filter(texts: FilterTexts, now: int) -> ExecutionFilter:
    """Returns the filter that texts describe.

    Args:
        texts: the texts.
        now: milliseconds since 1970, for ages.

    Raises:
        BadFilter: a text has another form.
    """
    namespace_and_name, version = _workflow(texts.workflow)
    id_, prefix = _id(texts.id)
    return ExecutionFilter(
        statuses=_statuses(texts.statuses),
        workflow=namespace_and_name,
        version=version,
        since=_time("since", texts.since, now),
        until=_time("until", texts.until, now),
        id=id_,
        id_prefix=prefix,
        parent=_execution("parent", texts.parent or None),
        tags=_tags(texts.tags),
    )


def _statuses(texts: Sequence[str]) -> frozenset[Status]:
    try:
        return frozenset(Status(name) for text in texts for name in text.split(",") if name)
    except ValueError:
        raise BadFilter(f"status must be one or more of {', '.join(Status)}") from None


def _workflow(text: str | None) -> tuple[tuple[str, str] | None, str | None]:
    if not text:
        return None, None
    path, _, version = text.partition(":")
    named = ids.workflow_name(path)
    if named is None:
        raise BadFilter("workflow must be NAMESPACE/NAME or NAMESPACE/NAME:VERSION")
    return named, version or None


def _time(name: str, text: str | None, now: int) -> int | None:
    """A time in RFC 3339, or an age such as `12h`; in milliseconds since 1970."""
    if not text:
        return None
    if _AGE.fullmatch(text):
        return now - int(text[:-1]) * _UNITS[text[-1]] * 1000
    try:
        parsed = datetime.fromisoformat(text)
        aware = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
        return (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    except (ValueError, OverflowError):
        raise BadFilter(
            f"{name} must be a time such as 2026-01-31T12:00:00Z, or an age such as 30m, 12h or 7d"
        ) from None


def _id(text: str | None) -> tuple[str | None, str | None]:
    if not text or not text.endswith(_PREFIX):
        return _execution("id", text or None), None
    return None, _execution("id", text.removesuffix(_PREFIX))


def _execution(name: str, text: str | None) -> str | None:
    if text is not None and not ids.EXECUTION_ID.fullmatch(text):
        raise BadFilter(
            f"{name} must be an execution's id{' or its beginning with *' if name == 'id' else ''}"
        )
    return text


def _tags(texts: Sequence[str]) -> dict[str, str]:
    tags: dict[str, str] = {}
    for text in texts:
        name, colon, value = text.partition(":")
        try:
            check_tag(name, value)
        except BadTags as error:
            raise BadFilter(f"tag must be NAME:VALUE; {error}" if not colon else str(error)) from None
        if tags.setdefault(name, value) != value:
            raise BadFilter(f"the tag {name} cannot have two values")
    if len(tags) > MAX_TAGS:
        raise BadFilter(f"at most {MAX_TAGS} tags can be asked for")
    return tags
