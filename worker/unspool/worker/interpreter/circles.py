"""Finds executions that wait for each other in a circle, so that none of them would ever end.

Only a join can close a circle. So an execution that is joined sends a `circle` message, the *search*, to the
one that joined it. The search goes on to those that wait for that one, and so on, one after the other. If it
comes back to the execution that sent it, there is a circle, and one of the joins in it faults.

The wait that is recorded last finds the circle: the search begins in the commit that records it, and all
other waits are recorded by then. Each execution that a search visits checks that it still waits. Two searches
that find one circle choose the same join.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from unspool.definitions import errors
from unspool.definitions.errors import WorkflowError
from unspool.definitions.json_value import Json
from unspool.eventstore.built_in import is_built_in
from unspool.eventstore.records import MessageKind, Status
from unspool.worker.interpreter.decision_builder import DecisionBuilder
from unspool.worker.interpreter.run import Phase
from unspool.worker.interpreter.state import State, Waiting

MAX_WAITS: Final = 256
"""The most waits that a search visits: each message has all of them."""

_MOST_NAMED: Final = 20
"""The most executions that an error names."""


class _Wait(NamedTuple):
    """An execution that waits for another one."""

    execution: str
    run: str
    """Run of its `run: workflow` task."""
    child: str
    """The id of the sub-workflow in its history."""
    joined: bool
    """Whether it waits for an execution that it joined; else for one that it started."""
    whose: int
    """The place in the search of the wait of the execution that it waits for; -1 for the origin."""


def search(builder: DecisionBuilder, waiting: Waiting) -> None:
    """Begins a search for a circle that an execution closes which joined this one."""
    if not is_built_in(waiting.execution):  # a schedule waits for no task
        _visit(builder, builder.state.execution, [_Wait(*waiting, joined=True, whose=-1)], 0)


def visited(builder: DecisionBuilder, body: dict[str, Json]) -> None:
    """Goes on with a search: handles a `circle` message."""
    state, origin, at = builder.state, body["origin"], body["at"]
    waits = [_Wait(*each) for each in body["waits"]]
    if _still(state, waits[at]):
        if state.execution == origin:
            _break(builder, origin, list(_circle(waits, at)))
            return
        known = {each[:3] for each in waits}
        new = [each for each in _waiting_for(state, at) if each[:3] not in known]
        new.sort(key=lambda each: each.execution != origin)  # so that the limit does not leave it out
        waits += new[: MAX_WAITS - len(waits)]
    if at + 1 < len(waits):
        _visit(builder, origin, waits, at + 1)


def _visit(builder: DecisionBuilder, origin: str, waits: list[_Wait], at: int) -> None:
    body = {"origin": origin, "waits": [list(each) for each in waits], "at": at}
    builder.send(waits[at].execution, MessageKind.CIRCLE, body)


def _still(state: State, wait: _Wait) -> bool:
    """Whether this execution still waits."""
    run = state.runs.get(wait.run)
    return (
        not state.status.ended and run is not None and run.phase is Phase.AWAITING and run.child == wait.child
    )


def _waiting_for(state: State, at: int) -> Iterator[_Wait]:
    """The executions that wait for this one: its parent, and those that joined it, the newest first."""
    parent = state.parent
    if parent is not None and not is_built_in(parent.execution):
        yield _Wait(parent.execution, parent.run, state.execution, joined=False, whose=at)
    for each in reversed(state.waiting):
        if not is_built_in(each.execution):
            yield _Wait(*each, joined=True, whose=at)


def _circle(waits: list[_Wait], at: int) -> Iterator[_Wait]:
    """The waits of a circle, in order: each waits for the execution of the next one."""
    while at >= 0:
        yield waits[at]
        at = waits[at].whose


def _break(builder: DecisionBuilder, origin: str, circle: list[_Wait]) -> None:
    """Lets one of the joins of a circle fault: that of the newest execution."""
    newest = max((each for each in circle if each.joined), key=lambda each: each.execution)
    place = circle.index(newest) + 1
    around = [each.execution for each in (*circle[place:], *circle[:place])]
    error = _error(around).under(builder.error_base).to_json()
    ended = {"run": newest.run, "child": newest.child, "status": Status.FAULTED.value, "error": error}
    builder.send(newest.execution, MessageKind.CHILD_ENDED, ended)


def _error(around: list[str]) -> WorkflowError:
    """The error of the last of some executions, which joined the first one."""
    chain = " waits for ".join(around[:_MOST_NAMED])
    if len(around) > _MOST_NAMED:
        chain += f" and so on, through {len(around)} executions"
    detail = (
        f"execution {around[0]} has the idempotency key of the sub-workflow, and waits for "
        f"execution {around[-1]} in turn: {chain}"
    )
    return errors.configuration(detail, title="Sub-workflow waits for itself")
