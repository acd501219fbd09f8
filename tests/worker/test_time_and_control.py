"""Timeouts, cancellation, suspension, retries by hand (inventory N, T; CONTRACT)."""

import orjson
import pytest

from unspool.definitions import errors
from unspool.eventstore.records import MessageKind
from unspool.executor.outcome import FetchedText
from unspool.worker.replay import verify

HANGING = "{call: http, with: {method: get, endpoint: http://h}}"


def test_task_timeout_interrupts_and_can_be_caught(world, pending):
    # N1, N2
    run = world(
        """
        do:
          - t:
              try:
                - slow:
                    timeout: {after: {seconds: 3}}
                    do: [{c: {call: http, with: {method: get, endpoint: http://h}}}]
              catch: {as: e, do: [{h: {set: '${ $e }'}}]}
        """,
        lambda _: pending,
    ).start({})
    began = run.now
    assert run.requests[0].deadline == began + 3000
    run.pass_time()
    assert run.now == began + 3000
    assert (run.output["status"], run.output["instance"]) == (408, "/do/0/t/try/0/slow")
    assert run.withdrawn == [run.requests[0].run]
    assert run.of("task.cancelled", "c")


def test_timeout_that_is_not_reached_leaves_nothing_behind(world):
    run = world("do: [{t: {timeout: {after: PT1H}, set: {a: 1}}}]").start({})
    assert run.output == {"a": 1}
    assert run.timers == {}
    assert run.types("timer.scheduled", "timer.cancelled") == ["timer.scheduled", "timer.cancelled"]


def test_timeout_covers_retries_and_waits(world):
    # N1: the try's own timeout covers all attempts
    run = world(
        """
        do:
          - t:
              timeout: {after: {seconds: 5}}
              try: [{c: {call: http, with: {method: get, endpoint: http://h}}}]
              catch: {retry: {delay: {seconds: 2}}}
        """,
        lambda _: errors.runtime("no"),
    ).start({})
    run.pass_time(lambda w: w.state.status == "faulted")
    assert (run.error["status"], run.error["instance"]) == (408, "/do/0/t")
    assert len(run.requests) == 3


def test_workflow_timeout(world):
    # N2, N6, I39
    run = world("""
        timeout: {after: {seconds: 2}}
        do: [{t: {try: [{w: {wait: {hours: 1}}}], catch: {}}}]
    """).start({})
    run.pass_time(lambda w: w.state.status == "faulted")
    assert (run.error["status"], run.error["instance"]) == (408, "/")
    assert run.timers == {}


def test_named_and_computed_timeouts(world, pending):
    # B8, D14
    run = world(
        """
        use: {timeouts: {short: {after: '${ .limit }'}}}
        do: [{t: {timeout: short, call: http, with: {method: get, endpoint: http://h}}}]
        """,
        lambda _: pending,
    ).start({"limit": "PT4S"})
    assert run.requests[0].deadline == run.now + 4000


def test_late_results_and_timers_interpret_to_nothing(world, pending):
    # DESIGN §3
    run = world(
        f"do: [{{t: {{timeout: {{after: {{seconds: 1}}}}, try: [{{c: {HANGING}}}], catch: {{}}}}}}]",
        lambda _: pending,
    )
    run.start({})
    (request,) = run.requests
    (timer,) = run.timers
    run.reply(request, "ok")
    run.settle()
    events = len(run.history)
    run.reply(request, "again")
    run.settle()
    run.send(MessageKind.TIMER_FIRED, timer=timer)
    run.send(MessageKind.START, input={})
    run.send(MessageKind.CANCEL)
    assert len(run.history) == events
    assert run.output == "ok"


def test_cancel_reaches_everything(world, pending):
    run = world(
        f"do: [{{f: {{fork: {{branches: [{{a: {HANGING}}}, {{b: {{wait: PT1H}}}}]}}}}}}]", lambda _: pending
    ).start({})
    run.send(MessageKind.CANCEL)
    assert run.state.status == "cancelled"
    assert run.timers == {}
    assert run.withdrawn == [run.requests[0].run]
    assert run.types("workflow.cancelled", "task.cancelled") == ["task.cancelled"] * 3 + [
        "workflow.cancelled"
    ]


def test_timers_are_cancelled_in_the_order_in_which_they_were_set(world):
    """In any other order, the events would differ when the history is interpreted again."""
    waits = ", ".join(f"{{w{n}: {{wait: {{hours: {n + 1}}}}}}}" for n in range(12))
    run = world(f"do: [{{f: {{fork: {{branches: [{waits}]}}}}}}]").start({}).send(MessageKind.CANCEL)
    set_ = [event.data["timer"] for event in run.history if event.type == "timer.scheduled"]
    cancelled = [event.data["timer"] for event in run.history if event.type == "timer.cancelled"]
    assert len(set_) == 12
    assert cancelled == set_


def test_suspended_execution_finishes_what_runs_and_starts_nothing(world, pending):
    # T1
    run = world(f"do: [{{a: {HANGING}}}, {{b: {{set: {{b: 1}}}}}}]", lambda _: pending).start({})
    run.send(MessageKind.SUSPEND)
    run.reply(run.requests[0], "done")
    run.settle()
    assert run.state.status == "suspended"
    assert run.path() == ["a"]
    run.send(MessageKind.RESUME)
    assert run.output == {"b": 1}


def test_an_attempt_that_begins_while_suspended_has_its_whole_time_after_the_resume(world, pending):
    # M6, T1: the attempt that ran before can expire (N4), but not one that has not begun
    retry = "{limit: {attempt: {count: 3, duration: PT1S}}}"
    run = world(f"""
        do: [{{t: {{try: [{{a: {HANGING}}}], catch: {{retry: {retry}}}}}}}]
    """, lambda _: pending).start({})  # fmt: skip
    run.send(MessageKind.SUSPEND).pass_time()
    assert run.types("task.retried") == ["task.retried"]
    run.now += 10_000
    run.send(MessageKind.RESUME)
    assert list(run.timers.values()) == [run.now + 1000]
    assert run.requests[1].deadline == run.now + 1000
    run.send(MessageKind.SUSPEND).send(MessageKind.RESUME)
    assert len(run.timers) == 1
    run.pass_time(lambda w: len(w.requests) == 3)
    run.reply(run.requests[2], "done")
    run.settle()
    assert run.output == "done"
    assert run.types("task.retried") == ["task.retried"] * 2


def test_suspended_before_a_wait_is_over(world):
    run = world("do: [{w: {wait: PT1S}}, {b: {set: {b: 1}}}]").start({})
    run.send(MessageKind.SUSPEND).pass_time()
    assert run.state.status == "suspended"
    assert run.send(MessageKind.RESUME).output == {"b": 1}


def test_an_execution_whose_tasks_all_ended_stays_suspended(world):
    run = world("""
        do: [{w: {wait: PT1S}}]
        output: {as: '${ {n: 1} }'}
    """).start({})
    run.send(MessageKind.SUSPEND).pass_time()
    assert (run.state.status, run.of("task.completed")[0].task) == ("suspended", "/do/0/w")
    assert verify(run.plan, run.execution, run.history) is None
    assert run.send(MessageKind.RESUME).output == {"n": 1}


def test_an_output_that_fails_faults_the_execution_when_it_is_resumed(world):
    run = world("""
        do: [{w: {wait: PT1S}}]
        output: {as: 'error("no")'}
    """).start({})
    run.send(MessageKind.SUSPEND).pass_time()
    assert run.state.status == "suspended"
    assert run.send(MessageKind.RESUME).error["instance"] == "/output"


def test_a_suspended_execution_can_be_cancelled_after_its_last_task(world):
    run = world("do: [{w: {wait: PT1S}}]").start({})
    run.send(MessageKind.SUSPEND).pass_time().send(MessageKind.CANCEL)
    assert (run.state.status, run.types()[-1]) == ("cancelled", "workflow.cancelled")


@pytest.mark.parametrize("items", ["[]", "[1, 2]"])
def test_an_empty_workflow_completes_when_resumed_if_its_schema_came_before(world, pending, items):
    run = world(
        f"""
        input: {{schema: {{resource: {{endpoint: http://h/s.json}}}}, from: '{items}'}}
        do: []
    """,
        lambda _: pending,
    ).start([])
    run.send(MessageKind.SUSPEND)
    run.reply(run.requests[0], FetchedText('{"type": "array"}'))
    run.settle()
    assert run.state.status == "suspended"
    assert run.send(MessageKind.RESUME).output == orjson.loads(items)


def retriable(world, definition, *outcomes):
    left = list(outcomes)
    return world(definition, lambda _: left.pop(0) if len(left) > 1 else left[0])


def test_retry_restarts_at_the_task_that_faulted(world):
    run = retriable(world, f"""
        do:
          - before: {{set: {{n: '${{ .n + 1 }}'}}}}
          - outer: {{do: [{{c: {HANGING}}}], timeout: {{after: PT1H}}}}
          - after: {{set: {{result: '${{ . }}'}}}}
    """, errors.runtime("no"), "ok").start({"n": 0})  # fmt: skip
    assert run.state.status == "faulted"
    run.send(MessageKind.RETRY)
    assert run.output == {"result": "ok"}
    assert run.path() == ["before", "outer", "c", "c", "after"]
    assert len({request.idempotency_key for request in run.requests}) == 2
    assert run.timers == {}


def test_retry_restarts_branches_that_were_cancelled(world):
    run = retriable(world, f"""
        do:
          - f:
              fork:
                branches:
                  - a: {{set: {{a: 1}}}}
                  - b: {{do: [{{w: {{wait: PT1S}}}}, {{set_b: {{set: {{b: 1}}}}}}]}}
                  - c: {HANGING}
    """, errors.runtime("no"), "ok").start({})  # fmt: skip
    assert run.state.status == "faulted"
    run.send(MessageKind.RETRY).pass_time()
    assert run.output == [{"a": 1}, {"b": 1}, "ok"]
    assert run.path().count("a") == 1


@pytest.mark.parametrize(
    "definition",
    ["do: []\ninput: {schema: {document: {type: string}}}", "do: []\noutput: {as: '.a | tonumber'}"],
)
def test_retry_of_what_cannot_come_out_better_faults_again(world, definition):
    run = world(definition).start({"a": "x"})
    error = dict(run.error)
    assert run.send(MessageKind.RETRY).error == error


def test_retry_with_a_timeout_that_does_not_evaluate_any_more_faults_again(world):
    run = retriable(world, f"""
        timeout: {{after: '${{ $context.limit // "PT1M" }}'}}
        do: [{{a: {{set: {{limit: never}}, export: {{as: .}}}}}}, {{c: {HANGING}}}]
    """, errors.runtime("no"), "ok").start({})  # fmt: skip
    assert run.state.status == "faulted"
    assert run.send(MessageKind.RETRY).error["type"].endswith("expression")


def test_retry_after_the_workflows_timeout(world):
    run = world("""
        timeout: {after: {seconds: 2}}
        do: [{a: {set: {a: 1}}}, {w: {wait: {seconds: 3}}}]
    """).start({})
    run.pass_time(lambda w: w.state.status == "faulted")
    run.send(MessageKind.RETRY)
    assert run.state.status == "running"
    run.pass_time(lambda w: w.state.status == "faulted")
    assert run.path() == ["a", "w", "w"]


def test_retry_limits_the_attempts_of_a_try_again(world, pending):
    # M6: also that of one that was cancelled because another task faulted
    attempts = "catch: {errors: {with: {status: 408}}, retry: {limit: {attempt: {count: 1, duration: PT2S}}}}"
    answers = [errors.runtime("no")]
    run = world(f"""
        do:
          - f:
              fork:
                branches:
                  - faults: {{try: [{{a: {HANGING}}}], {attempts}}}
                  - cancelled: {{try: [{{b: {{wait: PT1H}}}}], {attempts}}}
                  - handling:
                      try: [{{c: {{raise: {{error: {{type: x, status: 1}}}}}}}}]
                      catch:
                        retry: {{when: 'false', limit: {{attempt: {{duration: PT1S}}}}}}
                        do: [{{w: {{wait: PT3S}}}}]
    """, lambda _: answers.pop() if answers else pending).start({})  # fmt: skip
    assert run.state.status == "faulted"
    began = run.now
    run.send(MessageKind.RETRY)
    limits = [
        event.data["dueAt"] for event in run.of("timer.scheduled") if event.data["purpose"] == "attempt"
    ]
    assert limits[-2:] == [began + 2000, began + 2000]
    run.pass_time(lambda w: w.state.status == "faulted")
    assert (run.error["status"], run.now) == (408, began + 4000)


@pytest.mark.parametrize("inner", ["timeout: {after: PT1S}, wait: PT20S", "wait: PT1S"])
def test_the_outermost_of_the_timeouts_due_at_once_wins(world, inner):
    # N3: in any order in which a store reports them
    run = world(f"""
        do:
          - o:
              timeout: {{after: PT1S}}
              try: [{{m: {{timeout: {{after: PT1S}}, do: [{{i: {{{inner}}}}}]}}}}]
              catch: {{do: [{{h: {{set: {{inner: 1}}}}}}]}}
    """).start({})
    run.now += 1000
    for timer in reversed([*run.timers]):
        if timer in run.timers:
            del run.timers[timer]
            run.send(MessageKind.TIMER_FIRED, timer=timer)
    assert (run.error["status"], run.error["instance"]) == (408, "/do/0/o")
    assert run.timers == {}


def test_a_workflow_timeout_that_does_not_evaluate_points_at_the_workflow(world):
    run = world("timeout: {after: '${ .d }'}\ndo: [{w: {wait: PT20S}}]").start({})
    assert run.error["type"].endswith("expression")
    assert run.error["instance"] == "/"
