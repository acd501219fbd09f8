"""What is known of an execution that waits, besides its state; and what it waits for."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Final, NamedTuple

import orjson

from unspool.definitions.json_value import Json
from unspool.eventstore.clock import rfc3339
from unspool.eventstore.dead_letters import DeadLetter
from unspool.eventstore.events import Event
from unspool.eventstore.functions import RegisteredFunction
from unspool.eventstore.published_events import CloudEvent
from unspool.eventstore.records import ExecutionRecord

_MOST_CHARACTERS: Final = 200
"""Of a value in a sentence."""

_UNITS: Final = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the store knows, read at about one time."""

    now: int
    """Milliseconds since 1970, by the store's clock."""
    record: ExecutionRecord
    history: Sequence[Event] = ()
    """The newest events of the execution, in order."""
    queues: Counter[str] = field(default_factory=Counter)
    """The task queues that live executors serve, with their number."""
    functions: Sequence[RegisteredFunction] = ()
    children: Mapping[str, ExecutionRecord] = field(default_factory=dict)
    """The sub-workflows that it awaits, by id."""
    parent: ExecutionRecord | None = None
    letters: Sequence[DeadLetter] = ()
    """Dead letters of the execution, oldest first."""
    events: Sequence[CloudEvent] = ()
    """The newest events on the bus, oldest first."""
    deadline: float = inf
    """No event is compared after this time of `time.monotonic`."""


class Reason(NamedTuple):
    """One thing that an execution waits for."""

    kind: str
    """`timer`, `retry`, `call`, `limit`, `executor`, `child`, `event`, `message`, `resource`, `worker`,
    `suspended` or `deadLetter`."""
    task: str | None
    """JSON pointer of the task; None if it is the execution itself."""
    text: str
    """A clause that follows what waits."""
    facts: dict[str, Json] = {}  # noqa: RUF012 - it is never changed

    @property
    def clause(self) -> str:
        """The whole clause."""
        return f"{f'task {self.task}' if self.task else 'it'} {self.text}"

    def to_json(self) -> dict[str, Json]:
        """Returns it as JSON."""
        return {"kind": self.kind, "task": self.task, "text": self.clause, **self.facts}


def until(due_at: int, now: int) -> str:
    """Returns a time with its distance from now: `2026-01-31T12:00:00.000Z (in 2 h 30 min)`."""
    return f"{rfc3339(due_at)} ({f'in {lasting(due_at - now)}' if due_at > now else 'it is due'})"


def lasting(milliseconds: int) -> str:
    """Returns a duration in its two largest units."""
    left = max(1, round(milliseconds / 1000))
    parts: list[str] = []
    for unit, seconds in _UNITS:
        number, left = divmod(left, seconds)
        if number or parts:
            parts.append(f"{number} {unit}" if number else "")
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if part)


def shown(value: Json) -> str:
    """Returns a value for a sentence: a text as it is, anything else as JSON; both shortened."""
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…"


def short(value: Json) -> Json:
    """Returns a value for an answer; one with a long text as JSON is shortened to a text."""
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return value if len(text) <= _MOST_CHARACTERS else shown(value)
