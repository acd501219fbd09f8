"""Events that came near: published lately, and refused by one condition of a task that listens."""

from collections.abc import Iterator, Mapping, Sequence
from math import inf
from time import monotonic
from typing import Final, NamedTuple

from unspool.definitions.event_filter import EventFilter
from unspool.definitions.json_value import Json
from unspool.definitions.tasks.listen import Listen
from unspool.eventstore.events import Event
from unspool.eventstore.published_events import CloudEvent
from unspool.worker.interpreter.event_matching import Scope
from unspool.worker.interpreter.listening import Listening
from unspool.worker.interpreter.tasks.listen import open_filters
from unspool.worker.why.facts import short
from unspool.worker.why.refusals import Refusal, refusal

MOST: Final = 5
"""Near misses that are told for one task."""

_MOST_COMPARED: Final = 100
"""Events of the right type that are compared, the newest."""


class NearMiss(NamedTuple):
    """An event that came near."""

    event: CloudEvent
    refusal: Refusal | None
    """None: it matches. It came before the task began to listen, or is on its way."""

    @property
    def text(self) -> str:
        """A clause that tells it."""
        name = f"{self.event.get('id')} of {self.event.get('source')}"
        if self.refusal is None:
            return f"{name} matches, and came before the task began to listen or is on its way"
        return f"{name} was refused because {self.refusal.text}"

    def to_json(self) -> dict[str, Json]:
        """Returns it as JSON."""
        names = ("id", "source", "type", "subject", "time")
        event: dict[str, Json] = {name: short(self.event[name]) for name in names if name in self.event}
        refused = None if self.refusal is None else self.refusal.to_json()
        return {"event": event, "refusedBy": refused, "text": self.text}


def near_misses(
    scope: Scope,
    body: Listen,
    listening: Listening,
    events: Sequence[CloudEvent],
    history: Sequence[Event],
    deadline: float = inf,
) -> list[NearMiss]:
    """Returns the newest events that came near, the newest first.

    Args:
        scope: of the run that listens.
        body: its task.
        listening: what it has consumed and expects.
        events: published lately, oldest first.
        history: of the execution; events that it has consumed are left out.
        deadline: no event is compared after this time of `time.monotonic`: conditions of authors may be slow.
    """
    consumed = {_identity(each.data["event"]) for each in history if each.type == "event.received"}
    found: list[NearMiss] = []
    near = (event for event in reversed(events) if _identity(event) not in consumed)
    for compared, event in enumerate(_of_types(near, body, listening)):
        if compared == _MOST_COMPARED or len(found) == MOST or monotonic() > deadline:
            break
        miss = _nearest(scope, body, listening, event)
        if miss is not None:
            found.append(miss)
    return found


def _of_types(events: Iterator[CloudEvent], body: Listen, listening: Listening) -> Iterator[CloudEvent]:
    """The events that have the type of an open filter, or any if one names no type."""
    types = {body.to.filters[place].literals.get("type") for place in open_filters(body, listening)}
    return (event for event in events if None in types or event.get("type") in types)


def _nearest(scope: Scope, body: Listen, listening: Listening, event: CloudEvent) -> NearMiss | None:
    """How an event comes near to one of the filters: to that which it meets furthest."""
    best: Refusal | None = None
    for place in open_filters(body, listening):
        filter_, expected = body.to.filters[place], _expected(listening, place)
        if not _is_near(filter_, event):
            continue
        refused = refusal(scope, filter_, expected, listening.keys, event)
        if refused is None:
            return NearMiss(event, None)
        if refused.met and (best is None or refused.met > best.met):
            best = refused
    return None if best is None else NearMiss(event, best)


def _expected(listening: Listening, place: int) -> Mapping[str, Json]:
    return listening.expected[place] if place < len(listening.expected) else {}


def _is_near(filter_: EventFilter, event: CloudEvent) -> bool:
    type_ = filter_.literals.get("type")
    return type_ is None or event.get("type") == type_


def _identity(event: CloudEvent) -> tuple[Json, Json]:
    return event.get("source"), event.get("id")
