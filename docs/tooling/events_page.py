"""docs/reference/events.md: the events of histories, and the lifecycle events."""

from collections.abc import Iterator, Mapping
from typing import Final

from docs.tooling.markdown import code, page, table, text

from unspool.worker.event_types import OF_PARTS, OF_SCHEDULES, OF_TASKS, OF_WAITS, OF_WORKFLOWS, EventType
from unspool.worker.lifecycle_types import DETAILS, PREFIX, TIMES

_INTRODUCTION: Final = """\
Each execution has a history of events: `unspool history ID` prints it, and [`GET
/executions/{id}/events`](api.md#get-apiv1executionsidevents) returns it.
[Concepts](../concepts.md#history-and-state) explains what histories are for. An event has these members:

| member | meaning |
|---|---|
| `seq` | its position in the history, from 1 |
| `type` | one of the types below |
| `time` | the time of the decision, UTC |
| `task` | JSON pointer of the task in the definition; null for the workflow itself |
| `run` | the run of that task: a loop or a retry makes several runs of a task; null for the workflow itself |
| `data` | what the tables below list. A member with `?` is absent where it does not apply |

A history has only what cannot be derived. For example, the input of a task is the output of the task
before, so it is not repeated. Types and members of released versions do not change their meaning."""

_LIFECYCLE: Final = """\
With `UNSPOOL_LIFECYCLE_EVENTS=true`, the commit that stores an event of one of these types publishes it as
a CloudEvent as well, to workflows that [listen](../events.md#lifecycle-events) and to sinks. `source` is
`/NAMESPACE/NAME/VERSION` of the definition, `subject` is the name of the execution (`NAME-ID.NAMESPACE`).
The data has that name as `name`, and of a task as `workflow`, with the JSON pointer in `task`.
`task.suspended` and `task.resumed` are published for each task that has started and not ended when its
execution is suspended or resumed."""

_PARTS: Final[Mapping[str, Mapping[str, EventType]]] = {
    "The workflow": OF_WORKFLOWS,
    "Tasks": OF_TASKS,
    "What tasks wait for": OF_WAITS,
    "Extensions, resources, dead letters": OF_PARTS,
    "Histories of schedules": OF_SCHEDULES,
}


def events_page() -> str:
    """Returns the page."""
    return page("Events of histories", _INTRODUCTION, _body())


def _body() -> Iterator[str]:
    for title, types in _PARTS.items():
        yield from (f"## {title}", "")
        yield from table(("type", "meaning", "data"), (_row(name, each) for name, each in types.items()))
        yield ""
    yield from ("## Lifecycle events", "", _LIFECYCLE, "")
    yield from table(("type", "further members of the data"), map(_lifecycle_row, TIMES))


def _lifecycle_row(name: str) -> tuple[str, str]:
    return code(f"{PREFIX}.{name}.v1"), _members({TIMES[name]: "the time", **DETAILS.get(name, {})})


def _row(name: str, described: EventType) -> tuple[str, str, str]:
    return code(name), text(described.meaning), _members(described.members)


def _members(members: Mapping[str, str]) -> str:
    return "<br>".join(f"{code(name)}: {text(meaning)}" for name, meaning in members.items())
