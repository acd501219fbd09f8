"""Why an execution waits: sentences from a plan, a state and facts."""

from collections import Counter
from dataclasses import replace

import pytest
from tests.worker.world import PENDING

from unspool.definitions import errors
from unspool.eventstore.dead_letters import DeadLetter
from unspool.eventstore.functions import RegisteredFunction
from unspool.eventstore.records import (
    ExecutionKey,
    ExecutionRecord,
    Message,
    MessageKind,
    Parent,
    Status,
    TaskRequest,
    WorkflowRef,
)
from unspool.worker.interpreter.event_matching import match
from unspool.worker.interpreter.listening import Listening
from unspool.worker.interpreter.reading import scope_of
from unspool.worker.interpreter.run import Phase
from unspool.worker.why.facts import Facts, lasting
from unspool.worker.why.reasons import reasons
from unspool.worker.why.refusals import refusal
from unspool.worker.why.sentence import why_json

CALL = "{call: http, with: {method: get, endpoint: http://h/pay}}"
REF = WorkflowRef("test", "test", "1.0.0")


def record(id_="execution", status=Status.RUNNING, **changes):
    return replace(ExecutionRecord(ExecutionKey("default", id_), REF, status, 1, 0), **changes)


def why(run, **known):
    """Returns the answer for a world, with executors for `http` unless facts say otherwise."""
    facts = {
        "now": run.now,
        "record": record(status=run.state.status_phase, ended_at=run.state.ended_at),
        "history": run.history,
        "queues": Counter({"http": 2}),
    }
    found = Facts(**{**facts, **known})
    return why_json(found.record, reasons(run.plan, run.state, found), run.state.error)


def only(run, **known):
    """Returns the one thing that it waits for."""
    answer = why(run, **known)
    [reason] = answer["waitsFor"]
    assert reason["text"] in answer["sentence"]
    assert answer["sentence"].startswith("Execution execution of test/test:1.0.0 is ")
    return reason


def event(type_="paid", id_="e1", **members):
    return {"specversion": "1.0", "id": id_, "source": "/shop", "type": type_, **members}


def test_a_timer(world):
    run = world("do: [{a: {wait: {hours: 2, minutes: 30}}}]").start({})

    assert only(run) == {
        "kind": "timer",
        "task": "/do/0/a",
        "text": "task /do/0/a waits until 1970-01-01T02:46:40.000Z (in 2 h 30 min)",
        "dueAt": "1970-01-01T02:46:40.000Z",
    }
    run.now += 10_000_000
    assert only(run)["text"].endswith("(it is due)")


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(1, "1 s"), (59_400, "59 s"), (60_000, "1 min"), (3_661_000, "1 h 1 min"), (90_000_000, "1 d 1 h")],
)
def test_durations_are_told_in_two_units(milliseconds, text):
    assert lasting(milliseconds) == text


def test_a_call(world):
    reason = only(world(f"do: [{{a: {CALL}}}]", lambda _: PENDING).start({}))

    assert reason["kind"] == "call"
    assert (
        reason["text"] == "task /do/0/a waits for the result of its http call since 1970-01-01T00:16:40.000Z"
    )
    assert reason["executors"] == 2


def test_a_call_in_an_attempt_with_a_timeout(world):
    answers = iter([errors.communication("no answer", title="Unavailable", status=503), PENDING])
    run = world(
        f"""
        do:
          - t:
              try: [{{a: {CALL}}}]
              catch:
                retry: {{delay: {{seconds: 5}}, limit: {{attempt: {{count: 3, duration: {{seconds: 9}}}}}}}}
        """,
        lambda _: next(answers),
    ).start({})

    waits = only(run)
    assert (waits["kind"], waits["task"], waits["attempt"], waits["attempts"]) == ("retry", "/do/0/t", 2, 4)
    assert waits["lastError"]["status"] == 503
    assert waits["text"] == (
        "task /do/0/t is tried again at 1970-01-01T00:16:45.000Z (in 5 s), attempt 2 of 4"
        " after a communication error 503 at /do/0/t/try/0/a (no answer)"
    )

    run.pass_time(until=lambda each: each.state.in_phase(Phase.REQUESTED))
    calls = only(run)
    assert (calls["kind"], calls["attempt"], calls["timeoutAt"]) == ("call", 2, "1970-01-01T00:16:54.000Z")
    assert "in attempt 2 of 4 after a communication error 503" in calls["text"]
    assert calls["text"].endswith("at most until 1970-01-01T00:16:54.000Z")


def test_no_living_executor(world):
    run = world(f"do: [{{a: {CALL}}}]", lambda _: PENDING).start({})

    reason = only(run, queues=Counter())

    assert (reason["kind"], reason["missing"]) == ("executor", "the queue http")
    assert reason["text"] == "task /do/0/a waits: no live executor serves the queue http"


def test_no_living_executor_of_a_function(world):
    run = world("do: [{a: {call: 'charge:2.0.0'}}]", lambda _: PENDING).start({})
    functions = [
        RegisteredFunction("charge", "1.0.0", "f1", registered_at=run.now),
        RegisteredFunction("charge", "2.0.0", "f2", registered_at=run.now),
    ]

    assert only(run, functions=functions, queues=Counter({"f1": 1}))["missing"] == "the function charge:2.0.0"
    reason = only(run, functions=functions, queues=Counter({"f2": 1}))
    assert reason["kind"] == "call"
    assert "the function charge:2.0.0" in reason["text"]


def test_a_limit_that_the_executor_reports(world):
    run = world(f"do: [{{a: {CALL}}}]", lambda _: PENDING).start({})
    run.send(MessageKind.TASK_PROGRESSED, run="1", progress={"waitsFor": "the limit of api.example.com"})

    reason = only(run)

    assert (reason["kind"], reason["waitsFor"]) == ("limit", "the limit of api.example.com")
    assert "for the limit of api.example.com" in reason["text"]


def test_a_sub_workflow(world):
    run = world(
        "do: [{a: {run: {workflow: {namespace: shop, name: pack, version: '1.0.0'}}}}]", lambda _: PENDING
    ).start({})
    [child] = [each.child for each in run.state.in_phase(Phase.AWAITING)]
    pack = record(child, Status.WAITING, workflow=WorkflowRef("shop", "pack", "1.0.0"))

    reason = only(run, children={child: pack})

    assert (reason["kind"], reason["execution"], reason["status"]) == ("child", child, "waiting")
    assert reason["text"].endswith(f"the sub-workflow {child} of shop/pack:1.0.0, which is waiting")


def test_a_suspended_execution(world):
    run = world(f"do: [{{a: {CALL}}}, {{b: {CALL}}}]", lambda _: PENDING).start({})
    run.send(MessageKind.SUSPEND)
    run.send(MessageKind.TASK_COMPLETED, run="1", output={})

    answer = why(run)

    assert [each["kind"] for each in answer["waitsFor"]] == ["suspended", "suspended"]
    assert answer["sentence"] == (
        "Execution execution of test/test:1.0.0 is suspended: it is suspended since 1970-01-01T00:16:40.000Z"
        " until it is resumed; task /do/1/b begins when the execution is resumed."
    )
    parent = record("above", Status.SUSPENDED)
    told = why(run, parent=parent, record=record(status=Status.SUSPENDED, parent=Parent("above", "1", 1)))
    assert "by its parent above" in told["sentence"]


def test_a_dead_letter(world):
    run = world(f"do: [{{a: {CALL}}}]", lambda _: PENDING).start({})
    task = TaskRequest("execution", "1", "/do/0/a", "http", {})
    letters = [
        DeadLetter("d1", "default", task, "KeyError: x", "…", 3, 2_000_000),
        DeadLetter("d2", "default", Message(MessageKind.CANCEL, "execution", {}), "boom", "…", 3, 2_000_000),
    ]

    [of_task, of_message, _] = why(run, letters=letters)["waitsFor"]

    assert (of_task["kind"], of_task["id"], of_task["error"]) == ("deadLetter", "d1", "KeyError: x")
    assert of_task["text"] == (
        "task /do/0/a is stuck: its call failed 3 times and is dead letter d1 (KeyError: x)"
    )
    assert of_message["text"].startswith("it is stuck: its message failed 3 times")


def test_an_execution_that_has_not_begun(world):
    run = world("do: [{a: {set: {}}}]")

    assert only(run, record=record(status=Status.PENDING))["kind"] == "worker"


def test_executions_that_have_ended(world):
    done = world("do: [{a: {set: {}}}]").start({})
    failed = world(
        f"do: [{{a: {CALL}}}]", lambda _: errors.communication("no", title="No", status=503)
    ).start({})

    completed, faulted = why(done), why(failed)

    assert (completed["waitsFor"], faulted["waitsFor"]) == ([], [])
    assert completed["sentence"].endswith("has completed at 1970-01-01T00:16:40.000Z; it waits for nothing.")
    assert "has faulted" in faulted["sentence"]
    assert "a communication error 503 at /do/0/a (no)" in faulted["sentence"]


def test_many_things_are_counted(world):
    branches = ", ".join(f"{{b{n}: {{wait: {{hours: 1}}}}}}" for n in range(60))
    answer = why(world(f"do: [{{f: {{fork: {{branches: [{branches}]}}}}}}]").start({}))

    assert len(answer["waitsFor"]) == 50
    assert answer["sentence"].endswith("; and 47 more.")


# -- events

LISTEN = """
do:
  - l:
      listen:
        to:
          one:
            with: {type: paid, source: '${ $context.shop }', data: {amount: '${ . > 10 }', lines: [1]}}
            correlate: {order: {from: .data.order, expect: '${ .order }'}}
"""


@pytest.fixture
def listening(world):
    """An execution that waits for the payment of more than 10 for the order A-1 to its shop."""
    context = "- c: {set: {order: A-1, shop: /shop}, export: {as: '${ {shop: .shop} }'}}\n  - l:"
    return world(LISTEN.replace("- l:", context, 1)).start({})


GOOD = {"order": "A-1", "amount": 11, "lines": [1]}


def test_an_event(listening):
    reason = only(listening)

    assert reason["kind"] == "event"
    assert reason["text"] == (
        "task /do/1/l waits for an event of type paid"
        " with source /shop and order = A-1 and conditions on data"
    )
    assert reason["events"] == [
        {
            "attributes": {"type": "paid", "source": "/shop"},
            "conditions": ["data"],
            "correlations": {"order": {"from": ".data.order", "value": "A-1"}},
        }
    ]
    assert reason["nearMisses"] == []


@pytest.mark.parametrize(
    ("published", "condition", "text"),
    [
        (
            event(data={**GOOD, "order": "A-2"}),
            "order (.data.order)",
            "its order (.data.order) is A-2, not A-1",
        ),
        (event(data={**GOOD, "amount": 9}), "data.amount", "its data.amount is 9, not"),
        (event(data={**GOOD, "lines": [2]}), "data.lines", "its data.lines is [2], not"),
        (event(data={"order": "A-1", "amount": 11}), "data.lines", "it has no data.lines"),
        (event(data={**GOOD, "amount": "x" * 500}), "data.lines", ""),
        (event(), "data", "it has no data"),
        (event(source="/other", data=GOOD), "source", "its source is /other, not /shop"),
    ],
)
def test_the_condition_that_refused_an_event_is_told(listening, published, condition, text):
    if "x" * 500 in str(published):
        published["data"]["lines"] = [3]
    [miss] = only(listening, events=[published])["nearMisses"]

    assert miss["refusedBy"]["condition"] == condition
    assert text in miss["text"]
    assert miss["event"]["id"] == "e1"
    assert len(str(miss)) < 1_000


def test_only_the_newest_events_that_came_near_are_told(listening):
    others = [event("shipped", f"s{n}") for n in range(5)]
    near = [event(id_=f"e{n}", data={**GOOD, "order": f"B-{n}"}) for n in range(20)]

    reason = only(listening, events=[*near, *others])

    assert [miss["event"]["id"] for miss in reason["nearMisses"]] == ["e19", "e18", "e17", "e16", "e15"]
    assert "the last that came near, e19 of /shop was refused because its order" in reason["text"]


def test_an_event_that_matches_and_was_not_consumed_is_told(listening):
    [miss] = only(listening, events=[event(data=GOOD)])["nearMisses"]

    assert miss["refusedBy"] is None
    assert "before the task began to listen" in miss["text"]


def test_consumed_events_are_no_near_misses(world):
    run = world("do: [{l: {listen: {to: {all: [{with: {type: a}}, {with: {type: b}}]}}}}]").start({})
    first = event("a")
    run.send(MessageKind.EVENT, run="1", event=first)

    reason = only(run, events=[first])

    assert (reason["consumed"], reason["nearMisses"]) == (1, [])
    assert reason["text"] == "task /do/0/l waits for an event of type b, after 1 that it has consumed"


EVENTS = [
    event(),
    event("shipped", data=GOOD),
    event(data=GOOD),
    event(data=None),
    event(data=[1]),
    event(data={**GOOD, "order": None}),
    event(data={**GOOD, "amount": None}),
    event(data={**GOOD, "lines": [1, 1]}),
    event(source="/other", data=GOOD),
]


@pytest.mark.parametrize("published", EVENTS, ids=str)
def test_an_event_is_refused_by_a_condition_exactly_if_it_does_not_match(listening, published):
    [run] = listening.state.in_phase(Phase.LISTENING)
    assert isinstance(run.progress, Listening)
    [filter_] = listening.plan.tasks[run.task].body.to.filters
    arguments = (filter_, run.progress.expected[0], run.progress.keys, published)

    refused = refusal(scope_of(listening.plan, listening.state, run, 0), *arguments)
    matched = match(scope_of(listening.plan, listening.state, run, 0), *arguments)

    assert (refused is None) == (matched is not None), refused
