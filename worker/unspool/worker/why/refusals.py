"""Which condition of an event filter refuses an event: the matching of `event_matching`, with the cause."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from unspool.definitions.event_filter import Condition, EventFilter, Literal, Pattern
from unspool.definitions.json_equality import equal
from unspool.definitions.json_value import Json
from unspool.eventstore.published_events import CloudEvent
from unspool.worker.interpreter.decision_builder import Fault
from unspool.worker.interpreter.event_matching import Scope, is_wanted, meets
from unspool.worker.why.facts import short, shown


class Refusal(NamedTuple):
    """The first condition that an event does not meet."""

    what: str
    """An attribute such as `source`, a path such as `data.amount`, or a correlation such as `order`."""
    expected: Json
    """The value, the pattern, or what the condition is; None if it is not known."""
    found: Json
    """The value of the event; None if it has none."""
    cause: str = ""
    """Why the condition could not be evaluated."""
    met: int = 0
    """How many conditions the event met before."""

    @property
    def text(self) -> str:
        """A clause that says why."""
        if self.cause:
            return f"the expression of {self.what} fails: {self.cause}"
        if self.found is None:
            return f"it has no {self.what}" + (
                "" if self.expected is None else f", and {shown(self.expected)} is expected"
            )
        return f"its {self.what} is {shown(self.found)}, not {shown(self.expected)}"

    def to_json(self) -> dict[str, Json]:
        """Returns it as JSON."""
        members = {"condition": self.what, "expected": short(self.expected), "found": short(self.found)}
        return {**members, "cause": self.cause} if self.cause else members


def refusal(
    scope: Scope,
    filter_: EventFilter,
    expected: Mapping[str, Json],
    keys: Mapping[str, Json],
    event: CloudEvent,
) -> Refusal | None:
    """Returns why a filter refuses an event; None if it matches. The arguments are those of `match`."""
    for met, check in enumerate(_checks(scope, filter_, expected, keys, event)):
        if check is not None:
            return check._replace(met=met)
    return None


def _checks(
    scope: Scope,
    filter_: EventFilter,
    expected: Mapping[str, Json],
    keys: Mapping[str, Json],
    event: CloudEvent,
) -> Iterator[Refusal | None]:
    """The conditions in the order of `match`: each with why it is not met, or None."""
    for name, text in filter_.literals.items():
        yield None if event.get(name) == text else Refusal(name, text, event.get(name))
    wanted = expected.get("attributes", {})
    for name in filter_.expected:
        is_met = is_wanted(wanted[name], event.get(name))
        yield None if is_met else Refusal(name, wanted[name], event.get(name))
    for name, condition in filter_.conditions.items():
        yield _condition(scope, name, condition, event)
    known = {**keys, **expected.get("keys", {})}
    for each in filter_.correlations:
        try:
            value = scope.evaluate(each.extract, event)
        except Fault as fault:
            yield Refusal(each.name, known.get(each.name), None, fault.error.detail or fault.error.type)
            continue
        is_met = value is not None and equal(known.get(each.name, value), value)
        yield None if is_met else Refusal(f"{each.name} ({each.source})", known.get(each.name), value)


def _condition(
    scope: Scope, name: str, condition: Condition, holder: Mapping[str, Json], path: str = ""
) -> Refusal | None:
    """Why a member of an object does not meet its condition; the innermost member that does not."""
    at = f"{path}{name}"
    if name not in holder:
        return Refusal(at, _described(condition), None)
    value = holder[name]
    try:
        if meets(scope, condition, value):
            return None
        if isinstance(condition, Mapping) and isinstance(value, dict):
            inner = (_condition(scope, each, of, value, f"{at}.") for each, of in condition.items())
            return next((each for each in inner if each is not None), Refusal(at, None, value))
    except Fault as fault:
        return Refusal(at, None, value, fault.error.detail or fault.error.type)
    return Refusal(at, _described(condition), value)


def _described(condition: Condition) -> Json:
    match condition:
        case Literal(value):
            return value
        case Pattern(text, _):
            return f"like {text}"
        case Mapping() | tuple():
            return "of the shape that the filter has"
        case _:
            return "what the expression of the filter accepts"
