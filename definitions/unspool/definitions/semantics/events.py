"""Checks of `emit` and `listen`: patterns, correlations and conditions that can never hold."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from unspool.definitions.cloud_events import ATTRIBUTE_NAME
from unspool.definitions.compile_context import TaskNotCompilable
from unspool.definitions.event_filter import is_pattern, pattern
from unspool.definitions.findings import Findings
from unspool.definitions.json_pointer import child, parts
from unspool.definitions.schema import Occurrence
from unspool.definitions.semantics.event_conditions import Constant, constant, member_of_list, no_list_meets
from unspool.definitions.semantics.splitting import bare_source, is_whole, sources, texts
from unspool.definitions.spelling import shown

_REQUIRED: Final = ("specversion", "id", "source", "type")
"""The attributes that each event has, and that are never empty."""

_TRIGGER: Final = "/schedule/on"

_ENDS_NEVER: Final = "only a timeout or a cancellation ends the task"


class _Filter(NamedTuple):
    """An event filter and where it is."""

    spec: dict[str, Any]
    pointer: str
    until: bool
    """Whether it is a filter of `until`."""


def check_events(occurrences: Iterable[Occurrence], findings: Findings) -> None:
    """Checks every task that publishes or consumes events, and the events of a schedule."""
    tasks = [found for found in occurrences if found.role == "task" and isinstance(found.value, dict)]
    for found in tasks:
        emitted, listened = found.value.get("emit"), found.value.get("listen")
        if isinstance(emitted, dict):
            _check_emit(emitted, child(found.pointer, "emit"), findings)
        if isinstance(listened, dict):
            _check_strategy(listened.get("to"), child(found.pointer, "listen", "to"), findings)
    schedule = findings.document.value.get("schedule")
    if isinstance(schedule, dict):
        _check_strategy(schedule.get("on"), _TRIGGER, findings)
    _warn_of_waiting_extensions(tasks, findings)


def _check_emit(emit: dict[str, Any], pointer: str, findings: Findings) -> None:
    event = emit.get("event")
    if isinstance(event, dict) and "with" not in event:
        message = "this event has no type, so the task faults; write its attributes in 'with'"
        findings.warning(child(pointer, "event"), message, at_key=True)
    elif isinstance(event, dict):
        _check_names(event.get("with"), child(pointer, "event", "with"), findings)


def _check_strategy(strategy: Any, pointer: str, findings: Findings) -> None:
    if not isinstance(strategy, dict):
        return
    filters = list(_filters(strategy, pointer))
    for spec, place, _ in filters:
        _check_names(spec.get("with"), child(place, "with"), findings)
        _check_patterns(spec.get("with"), child(place, "with"), findings)
        _warn_of_impossible(spec.get("with"), child(place, "with"), findings)
    _warn_of_single_keys(strategy, filters, findings)
    _warn_of_empty(strategy, pointer, findings)
    if isinstance(strategy.get("until"), str):
        _check_condition(strategy["until"], child(pointer, "until"), findings)


def _filters(strategy: Any, pointer: str, *, until: bool = False) -> Iterator[_Filter]:
    """Yields the filters of a strategy and of its `until`."""
    if not isinstance(strategy, dict):
        return
    one = strategy.get("one")
    if isinstance(one, dict):
        yield _Filter(one, child(pointer, "one"), until)
    for name in ("all", "any"):
        members = strategy.get(name)
        for place, each in enumerate(members if isinstance(members, list) else ()):
            if isinstance(each, dict):
                yield _Filter(each, child(pointer, name, place), until)
    yield from _filters(strategy.get("until"), child(pointer, "until"), until=True)


# -- conditions


def _check_condition(until: str, pointer: str, findings: Findings) -> None:
    for source, _ in bare_source(until):
        member = member_of_list(source)
        if constant(source) is Constant.NEVER or no_list_meets(source):
            what = "the schedule starts nothing" if pointer.startswith(_TRIGGER) else _ENDS_NEVER
            findings.warning(pointer, f"this condition never holds, so {what}")
        elif member is not None:
            message = (
                f"'.{shown(member)}' fails: the input of 'until' is the list of the events up to now; "
                f"the last one is '.[-1]'"
            )
            findings.warning(pointer, message)


def _warn_of_empty(strategy: dict[str, Any], pointer: str, findings: Findings) -> None:
    """Reports a list without events: it needs none, so it is met at once, or it matches all."""
    if pointer == _TRIGGER:
        _check_trigger(strategy, findings)
        strategy = {**strategy, "all": None}
    until = strategy.get("until")
    parts = [(strategy, pointer), (until if isinstance(until, dict) else {}, child(pointer, "until"))]
    for part, place in parts:
        if part.get("all") == []:
            findings.warning(child(place, "all"), "this needs no event, so it is met at once", at_key=True)


def _check_trigger(strategy: dict[str, Any], findings: Findings) -> None:
    """Reports a schedule that no event triggers, and one that every event triggers (inventory C4)."""
    if strategy.get("all") == []:
        message = "no event starts this workflow; 'all' needs a filter"
        findings.error(child(_TRIGGER, "all"), message, at_key=True)
    if strategy.get("any") == []:
        message = "every event starts this workflow or is held for it, also what its own executions publish"
        findings.warning(child(_TRIGGER, "any"), message, at_key=True)


def _warn_of_impossible(attributes: Any, pointer: str, findings: Findings) -> None:
    """Warns of conditions that no event meets."""
    for name, value in attributes.items() if isinstance(attributes, dict) else ():
        if not isinstance(value, str):
            continue
        if name in _REQUIRED and not value:
            findings.warning(child(pointer, name), f"no event matches: '{name}' is never empty")
        elif is_whole(value) and any(constant(source) is Constant.NEVER for source, _ in sources(value)):
            findings.warning(child(pointer, name), "no event matches: this expression is never true")


# -- attributes


def _check_names(attributes: Any, pointer: str, findings: Findings) -> None:
    for name in attributes if isinstance(attributes, dict) else ():
        if name != "data_base64" and not ATTRIBUTE_NAME.fullmatch(name):
            message = (
                f"'{shown(name)}' is not an attribute of a CloudEvent: use lower-case letters and digits"
            )
            findings.error(child(pointer, name), message, at_key=True)


def _check_patterns(attributes: Any, pointer: str, findings: Findings) -> None:
    for place, text in texts(attributes, pointer):
        if is_pattern(text):
            try:
                pattern(text)
            except TaskNotCompilable as error:
                findings.error(place, str(error))


# -- correlations


def _warn_of_single_keys(strategy: dict[str, Any], filters: list[_Filter], findings: Findings) -> None:
    """Warns of a key without `expect` that only one event has to match: nothing is compared."""
    keys = [
        (name, key, child(found.pointer, "correlate", name), found.until)
        for found in filters
        for name, key in _correlations(found.spec)
    ]
    times = Counter(name for name, *_ in keys)
    repeated = {name for name, _, _, until in keys if not until} if "until" in strategy else set[str]()
    for name, key, place, until in keys:
        part = strategy.get("until") if until else strategy
        if not isinstance(key, dict) or "expect" in key or name in repeated:
            continue
        if times[name] == 1:
            message = f"'{shown(name)}' is used once and has no 'expect', so it is compared with nothing"
            findings.warning(place, message, at_key=True)
        elif isinstance(part, dict) and "any" in part:
            message = f"one event is enough here, so '{shown(name)}' is compared with nothing"
            findings.warning(place, message, at_key=True)


def _correlations(spec: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    correlate = spec.get("correlate")
    yield from correlate.items() if isinstance(correlate, dict) else ()


# -- extensions


def _warn_of_waiting_extensions(tasks: list[Occurrence], findings: Findings) -> None:
    """Warns of extensions that wait for events or messages, themselves or in a function that they call."""
    listening = _listening_functions(tasks)
    for found in tasks:
        if not found.pointer.startswith("/use/extensions/"):
            continue
        function = found.value.get("call")
        waits = _waits(found.value)
        if waits or (isinstance(function, str) and function in listening):
            what = "this task" if waits else f"the function '{shown(function)}'"
            findings.warning(
                found.pointer,
                f"{what} waits for events each time that a task is extended, which then waits too",
                at_key=True,
            )


def _waits(task: dict[str, Any]) -> bool:
    """Returns whether a task waits for events, or for messages of a broker."""
    arguments = task.get("with")
    if task.get("call") == "asyncapi" and isinstance(arguments, dict):
        return "subscription" in arguments
    return "listen" in task


def _listening_functions(tasks: list[Occurrence]) -> set[str]:
    """Returns the functions of the workflow that wait for events, also those that call such a function."""
    inside = [(found, _function_of(found.pointer)) for found in tasks]
    listening = {name for found, name in inside if name is not None and _waits(found.value)}
    calls = {
        (name, found.value["call"])
        for found, name in inside
        if name is not None and isinstance(found.value.get("call"), str)
    }
    while more := {name for name, called in calls if called in listening and name not in listening}:
        listening |= more
    return listening


def _function_of(pointer: str) -> str | None:
    """Returns the function of `use.functions` that a task is a part of."""
    match parts(pointer):
        case ["use", "functions", name, *_]:
            return name
        case _:
            return None
