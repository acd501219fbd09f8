"""Records of executions as views show them: with what a definition masks replaced."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from unspool.definitions.json_value import Json
from unspool.definitions.masking import MASKED, Mask
from unspool.eventstore.dead_letters import DeadLetter
from unspool.eventstore.events import Event
from unspool.eventstore.records import Message

_OWN_MEMBERS: Final = frozenset(
    {
        *("attempt", "branch", "bypassed", "by", "child", "deadline", "dueAt", "ended", "execution"),
        *("extension", "extensions", "filter", "foreach", "ids", "keep", "letter", "mediaType", "operation"),
        *("parent", "place", "purpose", "queue", "read", "reason", "resource", "run", "sender", "set"),
        *("sha256", "size", "stage", "timer", "workflow"),
    }
)
"""Members of events and messages that are ours, and not data of an execution. A state needs them."""

_ERRORS: Final = ("error", "caught", "ended")
"""Members of events that are errors, or have one."""

_NO_TEXTS: Final = frozenset({"type", "status", "instance"})
"""Members of errors that tell no values."""


def masked_events(mask: Mask, events: Sequence[Event]) -> list[Event]:
    """Events with their data masked, and the masked values of all of them replaced in texts of errors."""
    masked = [event._replace(data=_masked_members(mask, event.data)) for event in events]
    if not any(map(has_error, masked)):
        return masked
    hidden = {text for event in events for text in mask.hidden(event.data)}
    longest_first = sorted(hidden, key=len, reverse=True)
    return [_without_in_errors(longest_first, event) if has_error(event) else event for event in masked]


def has_error(event: Event) -> bool:
    """Whether the data of an event has an error."""
    return any(name in event.data for name in _ERRORS)


def error_without(hidden: Sequence[str], error: Json) -> Json:
    """An error whose texts do not have these values. Its type and place are as they were."""
    match error:
        case str():
            return without(hidden, error)
        case dict():
            return {
                name: each if name in _NO_TEXTS else error_without(hidden, each)
                for name, each in error.items()
            }
        case list():
            return [error_without(hidden, each) for each in error]
        case _:
            return error


def error_without_texts(error: Json) -> Json:
    """An error of which only type, status and place are shown."""
    if not isinstance(error, dict):
        return MASKED
    return {name: each if name in _NO_TEXTS else MASKED for name, each in error.items()}


def without(hidden: Sequence[str], text: str) -> str:
    """A text in which values are replaced."""
    for value in hidden:
        text = text.replace(value, MASKED)
    return text


def _without_in_errors(hidden: Sequence[str], event: Event) -> Event:
    shown = {name: error_without(hidden, event.data[name]) for name in _ERRORS if name in event.data}
    return event._replace(data=event.data | shown)


def masked_letter(mask: Mask, letter: DeadLetter) -> DeadLetter:
    """A dead letter with its body masked, and the masked values replaced in its error and traceback."""
    body = letter.body
    if isinstance(body, Message):
        data = body.body
        body = body._replace(body=_masked_members(mask, data))
    else:
        data = body.arguments
        body = body._replace(arguments=mask.applied(data))
    hidden = mask.hidden(data)
    error, traceback = without(hidden, letter.error), without(hidden, letter.traceback)
    return replace(letter, body=body, error=error, traceback=traceback)


def _masked_members(mask: Mask, data: dict[str, Json]) -> dict[str, Json]:
    own = {name: value for name, value in data.items() if name in _OWN_MEMBERS}
    rest = {name: value for name, value in data.items() if name not in _OWN_MEMBERS}
    masked = mask.applied(rest)
    return data if masked is rest else own | masked
