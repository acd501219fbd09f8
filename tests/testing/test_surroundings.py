"""What a test says about secrets, the events that start workflows, lifecycle events and operators."""

from datetime import UTC, datetime, timedelta

import pytest

from unspool.testing import Workflow, event

HEAD = "document: {dsl: '1.0.3', namespace: shop, name: w, version: '1.0.0'}\n"

CALL = Workflow.from_text(
    HEAD
    + """\
use: {secrets: [bank]}
do:
  - pay:
      call: http
      with:
        method: post
        endpoint:
          uri: https://bank.example.com
          authentication:
            basic: {username: '${ $secrets.bank.user }', password: '${ $secrets.bank.password }'}
        body: '${ {order: .order, user: $secrets.bank.user} }'
"""
)

BANK = {"user": "ada", "password": "s3cret"}


def test_secrets_have_values():
    run = CALL.run({"order": 7}, mocks={"pay": {"paid": True}}, secrets={"bank": BANK})
    assert run.output == {"paid": True}
    [arguments] = run.arguments_of("pay")
    assert arguments["body"] == {"order": 7, "user": "ada"}
    assert arguments["endpoint"]["authentication"]["basic"] == {"username": "ada", "password": "s3cret"}
    assert "s3cret" not in str(run.history)


def test_a_secret_without_a_value_is_an_error_of_the_workflow():
    run = CALL.run({"order": 7}, mocks={"pay": {}}, secrets={})
    assert (run.error["status"], "'bank'" in run.error["detail"]) == (403, True)
    assert run.calls == ()


def test_without_secrets_the_expressions_stay():
    run = CALL.run({"order": 7}, mocks={"pay": {}})
    assert "$secrets" in run.arguments_of("pay")[0]


ON_ONE = Workflow.from_text(
    HEAD
    + """\
schedule: {on: {one: {with: {type: paid}}}}
do:
  - note: {set: {order: '${ .[0].order }'}}
"""
)

ON_ALL = Workflow.from_text(
    HEAD
    + """\
schedule:
  on:
    all:
      - with: {type: paid}
        correlate: {order: {from: .data.order}}
      - with: {type: packed}
        correlate: {order: {from: .data.order}}
do:
  - note: {set: {orders: '${ [.[].order] }'}}
"""
)


def test_each_event_starts_an_execution():
    triggers = [
        event("paid", {"order": 1}, after="PT2H"),
        event("refunded", {"order": 1}),
        event("paid", {"order": 2}, after="PT1H"),
    ]
    runs = ON_ONE.run_schedule(10, triggers=triggers, start=datetime(2026, 3, 6, tzinfo=UTC))
    assert [(time.hour, run.output) for time, run in runs] == [(1, {"order": 2}), (2, {"order": 1})]


def test_events_that_belong_together_start_one():
    triggers = [
        event("paid", {"order": 1}),
        event("packed", {"order": 2}),
        event("packed", {"order": 1}, after="PT1H"),
    ]
    [(time, run)] = ON_ALL.run_schedule(10, triggers=triggers)
    assert (time.hour, run.output) == (1, {"orders": [1, 1]})


def test_times_and_events_together():
    both = Workflow.from_text(
        HEAD
        + "schedule: {every: {hours: 1}, on: {one: {with: {type: paid}}}}\ndo: [{a: {set: {x: '${ . }'}}}]"
    )
    runs = both.run_schedule(3, triggers=[event("paid", 7, after="PT90M")])
    begun = runs[0][0]
    assert [(time - begun, run.output["x"]) for time, run in runs] == [
        (timedelta(), {}),
        (timedelta(minutes=30), [7]),
        (timedelta(hours=1), {}),
    ]


def test_a_workflow_without_a_schedule():
    with pytest.raises(ValueError, match="no schedule"):
        CALL.run_schedule(1)


WATCH = """\
do:
  - both:
      fork:
        branches:
          - watch:
              listen:
                to:
                  one:
                    with:
                      type: io.serverlessworkflow.task.completed.v1
                      data: '${ .task | endswith("/step") }'
          - work:
              do:
                - nap: {wait: {minutes: 1}}
                - step: {set: {done: true}}
"""


def test_lifecycle_events_are_heard():
    run = Workflow.from_text(HEAD + WATCH).run(lifecycle_events=True)
    [heard] = run.output[0]
    assert heard["task"].endswith("/step")
    assert run.published == ()


NAP = Workflow.from_text(HEAD + "do: [{nap: {wait: {hours: 1}}}, {last: {set: {done: true}}}]")


def test_an_execution_is_suspended_and_resumed():
    run = NAP.run(suspend_after="PT10M", resume_after="PT3H")
    assert run.output == {"done": True}
    assert run.duration == timedelta(hours=3)
    kinds = [each.type for each in run.history]
    assert kinds.index("workflow.suspended") < kinds.index("workflow.resumed")
    assert NAP.run(suspend_after="PT10M").status == "suspended"
    assert NAP.run(suspend_after="PT10M", cancel_after="PT2H").status == "cancelled"
