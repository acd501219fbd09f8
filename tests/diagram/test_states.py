"""The states of tasks and the timeline, as of each event of a history."""

from typing import Any

import pytest
from tests.diagram.definitions import definition, plan
from tests.worker.world import PENDING, World

from unspool.definitions.errors import WorkflowError
from unspool.diagram.layout.workflow import layout
from unspool.diagram.runs import RunLog
from unspool.diagram.states import task_states
from unspool.diagram.status import TaskState, TaskStatus
from unspool.diagram.timeline import Bars
from unspool.eventstore.clock import rfc3339
from unspool.eventstore.events import Event
from unspool.eventstore.records import MessageKind
from unspool.worker.replay import verify

CALL = {"call": "http", "with": {"method": "get", "endpoint": "http://h"}}
UNAVAILABLE = WorkflowError(type="https://e/unavailable", status=503)
RETRIED = {
    "try": [{"call": CALL}],
    "catch": {
        "retry": {"delay": {"seconds": 2}, "limit": {"attempt": {"count": 2}}},
        "do": [{"note": {"set": {"a": 1}}}, {"more": {"set": {"a": 2}}}],
    },
}


def world(do: list[dict[str, Any]], answer: Any = lambda _request: {}) -> World:
    return World(plan(definition(do)), answer).start({})


def log_of(history: list[Event], at: int | None = None) -> RunLog:
    log = RunLog("execution")
    log.add(event for event in history if at is None or event.seq <= at)
    return log


def states(world: World, at: int | None = None) -> dict[str, TaskState]:
    """The states by the names of the tasks."""
    found = task_states(log_of(world.history, at), [pointer for pointer in world.plan.tasks if pointer])
    return {pointer.rsplit("/", 1)[1]: state for pointer, state in found.items()}


def timeline(world: World, after: int = 0, limit: int = 100, at: int | None = None) -> dict[str, Any]:
    page = Bars(after, limit)
    log = RunLog("execution", page)
    log.add(event for event in world.history if at is None or event.seq <= at)
    return page.to_json(log, layout(world.plan))


def bars(world: World) -> dict[str, dict[str, Any]]:
    return {bar["name"]: bar for bar in timeline(world)["items"]}


def statuses(world: World, at: int | None = None) -> dict[str, str]:
    return {name: str(state) for name, state in states(world, at).items()}


def test_tasks_are_pending_then_running_then_completed():
    ran = world([{"a": {"set": {"x": 1}}}, {"b": CALL}, {"c": {"set": {"x": 1}}}], lambda _request: PENDING)
    assert statuses(ran, at=0) == {"a": "pending", "b": "pending", "c": "pending"}
    assert statuses(ran) == {"a": "completed", "b": "running", "c": "pending"}
    ran.send(MessageKind.TASK_COMPLETED, run="2", output={})
    assert set(statuses(ran).values()) == {"completed"}


def test_what_was_not_reached_is_skipped_at_the_end():
    ran = world(
        [{"a": {"if": "${ false }", "set": {"x": 1}}}, {"b": {"set": {}, "then": "end"}}, {"c": CALL}]
    )
    assert statuses(ran) == {"a": "skipped", "b": "completed", "c": "skipped"}


def test_tasks_that_wait_are_waiting():
    listen = {"listen": {"to": {"one": {"with": {"type": "t"}}}}}
    branches = [{"w": {"wait": "PT5S"}}, {"l": listen}, {"c": CALL}]
    ran = world([{"f": {"fork": {"branches": branches}}}], lambda _request: PENDING)
    assert statuses(ran) == {"f": "running", "w": "waiting", "l": "waiting", "c": "running"}
    ran.send(MessageKind.CANCEL)
    assert set(statuses(ran).values()) == {"cancelled"}
    lanes = {name: (bar["lane"], bar["depth"], bar["parent"]) for name, bar in bars(ran).items()}
    assert lanes == {"f": (0, 0, "0"), "w": (0, 1, "1"), "l": (1, 1, "1"), "c": (2, 1, "1")}


def test_retries_are_attempts():
    ran = world([{"t": RETRIED}], lambda _request: UNAVAILABLE)
    assert statuses(ran)["t"] == "retrying"
    assert statuses(ran)["call"] == "faulted"
    begun = ran.now
    assert bars(ran)["t"]["until"] == rfc3339(begun + 2000)
    ran.pass_time()
    assert statuses(ran) == {
        "t": "completed, 3 attempts",
        "call": "faulted, 3 runs",
        "note": "completed",
        "more": "completed",
    }
    attempts = bars(ran)["t"]["attempts"]
    assert [attempt["start"] for attempt in attempts] == [rfc3339(begun + n * 2000) for n in range(3)]
    assert [attempt["end"] for attempt in attempts] == [attempt["start"] for attempt in attempts]
    assert [attempt["error"]["status"] for attempt in attempts] == [503] * 3


@pytest.mark.parametrize(("started", "named"), [(False, False), (None, True)])
def test_a_sub_workflow_that_could_not_start_has_no_execution(started, named):
    ran = world([{"ask": {"run": {"workflow": {"namespace": "n", "name": "w", "version": "1.0.0"}}}}])
    child = ran.history[-1].data["child"]
    assert bars(ran)["ask"]["execution"] == child
    how = {} if started is None else {"started": started}
    error = UNAVAILABLE.to_json()
    ran.send(MessageKind.CHILD_ENDED, run="1", child=child, status="faulted", error=error, **how)
    assert (bars(ran)["ask"]["execution"] == child) is named
    assert verify(ran.plan, ran.execution, ran.history) is None


def test_loops_count_their_runs():
    ran = world([{"l": {"for": {"in": "[1, 2, 3]"}, "do": [{"a": {"set": {"x": 1}}}]}}])
    assert states(ran)["a"] == TaskState(TaskStatus.COMPLETED, runs=3, attempts=1)
    assert bars(ran)["l"]["children"] == 3


def test_a_retry_of_the_execution_continues_where_it_faulted():
    answers = iter([UNAVAILABLE, {}])
    ran = world([{"around": {"do": [{"a": CALL}, {"b": {"set": {"x": 1}}}]}}], lambda _request: next(answers))
    assert statuses(ran) == {"around": "faulted", "a": "faulted", "b": "skipped"}
    ran.send(MessageKind.RETRY)
    assert statuses(ran) == {"around": "completed, 2 attempts", "a": "completed, 2 runs", "b": "completed"}
    names = [(bar["name"], bar["run"], bar["status"]) for bar in timeline(ran)["items"]]
    assert names == [
        ("around", "1", "completed"),
        ("a", "2", "faulted"),
        ("a", "3", "completed"),
        ("b", "4", "completed"),
    ]


def test_a_sub_workflow_is_named():
    run = {"run": {"workflow": {"namespace": "n", "name": "child", "version": "1.0.0"}}}
    ran = world([{"s": run}])
    assert statuses(ran) == {"s": "waiting"}
    [started] = ran.of("child.started")
    assert bars(ran)["s"]["execution"] == started.data["child"]


def test_a_timeline_has_pages_that_are_parts_of_the_whole():
    ran = world([{"l": {"for": {"in": "[range(20)]"}, "do": [{"a": {"set": {"x": 1}}}]}}])
    whole = timeline(ran)
    assert len(whole["items"]) == 21
    assert whole["next"] is None
    found, after = [], 0
    while True:
        page = timeline(ran, after, 4)
        found += page["items"]
        assert len(page["items"]) <= 4
        if page["next"] is None:
            break
        after = int(page["next"])
    assert found == whole["items"]


def test_a_log_keeps_no_more_than_lives_and_is_wanted():
    ran = world([{"l": {"for": {"in": "[range(200)]"}, "do": [{"t": RETRIED}]}}], lambda _request: {})
    log = RunLog("execution", lambda number: number <= 3)
    most = 0
    for event in ran.history:
        log.add([event])
        most = max(most, len(log.runs))
    assert most < 10


@pytest.mark.parametrize("at", [0, 1, 5])
def test_a_timeline_is_as_of_an_event(at):
    ran = world([{"a": CALL}, {"b": {"set": {"x": 1}}}])
    shown = timeline(ran, at=at)
    created = [event for event in ran.history if event.type == "task.created" and event.seq <= at]
    assert shown["at"] == at
    assert [bar["run"] for bar in shown["items"]] == [event.run for event in created]
    assert shown["end"] is None


def test_a_log_agrees_with_the_state_after_each_event():
    """The runs that have not ended are those of the interpreter, also after a `retry` of the execution."""
    answers = iter([{}, UNAVAILABLE, UNAVAILABLE, {}, UNAVAILABLE, {}, {}])
    inner = [{"t": RETRIED}, {"f": {"fork": {"branches": [{"x": CALL}, {"y": {"wait": "PT1S"}}]}}}]
    ran = world([{"first": CALL}, {"l": {"for": {"in": "[1]"}, "do": inner}}], lambda _request: next(answers))
    ran.pass_time(lambda world: world.state.status == "faulted")
    ran.send(MessageKind.RETRY).pass_time()
    assert ran.state.status == "completed"
    log = RunLog("execution")
    for event in ran.history:
        log.add([event])
        live = {run.run: (run.task, run.parent) for run in log.runs.values() if run.end is None}
        expected = {run.id: (run.task, run.parent) for run in log.state.runs.values() if run.id != "0"}
        assert live == expected, event


def test_a_branch_that_lost_begins_where_it_began_before_after_a_retry():
    branches = [{"a": {"do": [{"a1": CALL}]}}, {"b": {"do": [{"b1": CALL}, {"b2": CALL}]}}]
    answers = iter([UNAVAILABLE, {}, UNAVAILABLE, PENDING, PENDING])
    fork = {"fork": {"compete": True, "branches": branches}}
    ran = world([{"f": fork}], lambda _request: next(answers))
    began = ran.now
    ran.now += 1000
    ran.send(MessageKind.RETRY)
    log = RunLog("execution", lambda _: False)
    log.add(ran.history)
    assert {run.task[-1]: run.start - began for run in log.runs.values()} == {
        "f": 0,
        "a": 0,
        "b": 0,
        "1": 1000,
        "2": 1000,
    }


def test_a_copy_of_a_log_goes_its_own_way():
    answers = iter([{}, UNAVAILABLE, {}, UNAVAILABLE])
    ran = world([{"l": {"for": {"in": "[1, 2]"}, "do": [{"t": RETRIED}]}}], lambda _request: next(answers))
    ran.pass_time()
    whole = RunLog("execution", Bars(0, 100))
    whole.add(ran.history)
    for at in range(len(ran.history)):
        log = RunLog("execution", Bars(0, 100))
        log.add(ran.history[:at])
        copied = log.copy()
        copied.add(ran.history[at:])
        assert (copied.runs, copied.totals, copied.state) == (whole.runs, whole.totals, whole.state)
        assert log.state.version == at
        log.add(ran.history[at:])
        assert log.runs == whole.runs
