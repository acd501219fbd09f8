"""Checks of `emit` and `listen`: patterns, correlations and conditions that can never hold."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

from unspool.definitions.cloud_events import ATTRIBUTE_NAME
from unspool.definitions.compile_context import TaskNotCompilable
from unspool.definitions.event_filter import is_pattern, pattern
from unspool.definitions.findings import Findings
from unspool.definitions.json_pointer import child
from unspool.definitions.schema import Occurrence
from unspool.definitions.semantics.splitting import bare_source, texts
from unspool.definitions.spelling import shown

_NEVER: Final = frozenset({"false", "null"})


def check_events(occurrences: Iterable[Occurrence], findings: Findings) -> None:
    """Checks every task that publishes or consumes events, and the events of a schedule."""
    for found in occurrences:
        if found.role != "task" or not isinstance(found.value, dict):
            continue
        emitted, listened = found.value.get("emit"), found.value.get("listen")
        if isinstance(emitted, dict):
            _check_emit(emitted, child(found.pointer, "emit"), findings)
        if isinstance(listened, dict) and isinstance(listened.get("to"), dict):
            _check_strategy(listened["to"], child(found.pointer, "listen", "to"), findings)
            _check_place(found.pointer, findings)


def _check_emit(emit: dict[str, Any], pointer: str, findings: Findings) -> None:
    event = emit.get("event")
    if isinstance(event, dict) and "with" not in event:
        message = "this event has no type, so the task faults; write its attributes in 'with'"
        findings.warning(child(pointer, "event"), message, at_key=True)
    elif isinstance(event, dict):
        _check_names(event.get("with"), child(pointer, "event", "with"), findings)


def _check_strategy(strategy: dict[str, Any], pointer: str, findings: Findings) -> None:
    filters = list(_filters(strategy, pointer))
    for spec, place in filters:
        _check_names(spec.get("with"), child(place, "with"), findings)
        _check_patterns(spec.get("with"), child(place, "with"), findings)
    until = strategy.get("until")
    if until is None:  # else one filter may take several events
        _warn_of_single_keys(filters, findings)
    if isinstance(until, str) and any(source.strip() in _NEVER for source, _ in bare_source(until)):
        message = "this condition never holds, so only a timeout or a cancellation ends the task"
        findings.warning(child(pointer, "until"), message)


def _filters(strategy: Any, pointer: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Yields the filters of a strategy and of its `until`, each with its pointer."""
    if not isinstance(strategy, dict):
        return
    one = strategy.get("one")
    if isinstance(one, dict):
        yield one, child(pointer, "one")
    for name in ("all", "any"):
        members = strategy.get(name)
        for place, each in enumerate(members if isinstance(members, list) else ()):
            if isinstance(each, dict):
                yield each, child(pointer, name, place)
    yield from _filters(strategy.get("until"), child(pointer, "until"))


def _check_names(attributes: Any, pointer: str, findings: Findings) -> None:
    for name in attributes if isinstance(attributes, dict) else ():
        if not ATTRIBUTE_NAME.fullmatch(name):
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


def _warn_of_single_keys(filters: list[tuple[dict[str, Any], str]], findings: Findings) -> None:
    """Warns of a key without `expect` that only one event has to match: it is compared with nothing."""
    keys = [
        (name, key, child(place, "correlate", name))
        for spec, place in filters
        for name, key in _correlations(spec)
    ]
    times = Counter(name for name, _, _ in keys)
    for name, key, place in keys:
        if times[name] == 1 and isinstance(key, dict) and "expect" not in key:
            message = f"'{shown(name)}' is used once and has no 'expect', so it is compared with nothing"
            findings.warning(place, message, at_key=True)


def _correlations(spec: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    correlate = spec.get("correlate")
    yield from correlate.items() if isinstance(correlate, dict) else ()


def _check_place(pointer: str, findings: Findings) -> None:
    if pointer.startswith("/use/extensions/"):
        findings.warning(
            pointer,
            "this task waits for events each time that a task is extended, which then waits too",
            at_key=True,
        )
