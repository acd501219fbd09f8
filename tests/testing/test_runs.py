"""Virtual time, events, sub-workflows, schedules, and assertions on what happened."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from unspool.definitions.problems import DefinitionInvalid
from unspool.testing import EndlessExecution, UnmockedTask, Workflow, error, event, output
from unspool.testing.answers import Call

Make = Callable[..., Workflow]


def test_waits_take_virtual_time(workflow: Make) -> None:
    run = workflow("do: [{rest: {wait: P30D}}, {say: {set: {done: true}}}]").run()
    assert run.output == {"done": True}
    assert run.duration == timedelta(days=30)
    assert [event.type for event in run.history][-1] == "workflow.completed"


def test_the_start_is_the_time_that_expressions_see(workflow: Make) -> None:
    made = workflow("do: [{say: {set: {at: '${ $workflow.startedAt.iso8601 }'}}}]")
    run = made.run(start=datetime(2030, 5, 6, 7, 8, 9, tzinfo=UTC))
    assert run.output["at"].startswith("2030-05-06T07:08:09")
    with pytest.raises(ValueError, match="time zone"):
        made.run(start=datetime(2030, 5, 6))  # noqa: DTZ001


def test_expressions_of_real_jq_are_evaluated(workflow: Make) -> None:
    made = workflow("do: [{say: {set: {words: '${ [.text | scan(\"[a-z]+\")] }'}}}]")
    assert made.run({"text": "to be"}).output == {"words": ["to", "be"]}


LISTENS = """
do:
  - await:
      listen: {to: {one: {with: {type: order.paid, data: '${ .amount > 10 }'}}}}
      timeout: {after: P1D}
"""


def test_an_event_is_published_as_soon_as_a_task_listens(workflow: Make) -> None:
    run = workflow("do:\n  - rest: {wait: PT1H}\n" + LISTENS.partition("do:\n")[2]).run(
        events=[
            event("order.sent", {}),
            event("order.paid", {"amount": 9}),
            event("order.paid", {"amount": 12}),
        ]
    )
    assert run.output == [{"amount": 12}]
    assert run.duration == timedelta(hours=1)


def test_an_event_at_a_time_is_published_then(workflow: Make) -> None:
    made = workflow(LISTENS)
    paid = {"amount": 12}
    assert made.run(events=[event("order.paid", paid, after="PT3H")]).duration == timedelta(hours=3)
    assert made.run(events=[event("order.paid", paid, after="P2D")]).error["status"] == 408


def test_an_execution_that_waits_for_ever_says_for_what(workflow: Make) -> None:
    run = workflow("do: [{await: {listen: {to: {one: {with: {type: order.paid}}}}}}]").run()
    assert not run.status.ended
    with pytest.raises(AssertionError, match=r"has not ended.*task 'await' \(/do/0/await\) waits for events"):
        _ = run.output


def test_an_event_that_is_not_valid_is_refused() -> None:
    with pytest.raises(ValueError, match="source"):
        event("order.paid", source=7)


def test_published_events_are_shown_and_heard(workflow: Make) -> None:
    both = """
    do:
      - together:
          fork:
            branches:
              - hear: {listen: {to: {one: {with: {type: order.placed}}}}}
              - say: {emit: {event: {with: {source: /shop, type: order.placed, data: {id: 7}}}}}
    """
    run = workflow(both).run()
    assert run.status == "completed"
    assert [(each["type"], each["data"]) for each in run.published] == [("order.placed", {"id": 7})]


PARENT = """
do:
  - ship:
      run: {workflow: {namespace: test, name: shipping, version: latest, input: {id: '${ .id }'}}}
"""


def test_a_sub_workflow_runs_by_its_definition(workflow: Make) -> None:
    child = workflow(
        "do:\n  - book: {call: http, with: {method: post, endpoint: https://ship.org, body: '${ . }'}}\n"
        "  - rest: {wait: PT2H}\n",
        "shipping",
    )
    run = workflow(PARENT).run({"id": 7, "x": 1}, sub_workflows=[child], mocks={"book": {"tracking": 1}})
    assert run.output == {"tracking": 1}
    assert run.duration == timedelta(hours=2)
    [shipping] = run.sub_workflows
    assert shipping.workflow == "test/shipping"
    assert shipping.path == ("book", "rest")
    shipping.assert_called("book", {"body": {"id": 7}})
    run.assert_called("run: workflow", {"id": 7})


def test_a_sub_workflow_can_be_mocked(workflow: Make) -> None:
    made = workflow(PARENT)
    assert made.run({"id": 7}, mocks={"ship": output("sent", delay="P1D")}).duration == timedelta(days=1)
    run = made.run({"id": 7}, mocks={"run: workflow": error("communication", detail="no lorry")})
    assert "no lorry" in run.error["detail"]
    with pytest.raises(UnmockedTask, match="definition of test/shipping:latest to `sub_workflows`"):
        made.run({"id": 7})


def test_a_sub_workflow_that_faults_faults_its_parent(workflow: Make) -> None:
    child = workflow("do: [{stop: {raise: {error: {type: https://e.example.com, status: 418}}}}]", "shipping")
    assert workflow(PARENT).run({"id": 7}, sub_workflows=[child]).error["status"] == 418


def test_a_sub_workflow_that_is_not_awaited_runs_to_its_end(workflow: Make) -> None:
    child = workflow("do: [{rest: {wait: PT2H}}]", "shipping")
    parent = PARENT.replace("run: {", "run: {await: false, ")
    run = workflow(parent).run({"id": 7}, sub_workflows=[child])
    assert run.duration == timedelta(0)
    assert [(each.status, each.duration) for each in run.sub_workflows] == [("completed", timedelta(hours=2))]


def test_a_test_can_stop_at_a_time(workflow: Make) -> None:
    made = workflow("do: [{ask: {set: {a: 1}}}, {rest: {wait: PT1H, then: ask}}]")
    run = made.run(until="PT90M")
    assert run.status == "waiting"
    assert run.duration == timedelta(minutes=90)


def test_an_execution_is_cancelled_with_its_sub_workflows(workflow: Make) -> None:
    child = workflow("do: [{rest: {wait: PT2H}}]", "shipping")
    run = workflow(PARENT).run({"id": 7}, sub_workflows=[child], cancel_after="PT1H")
    assert (run.status, run.duration) == ("cancelled", timedelta(hours=1))
    assert [each.status for each in run.sub_workflows] == ["cancelled"]
    assert workflow(PARENT).run({"id": 7}, mocks={"ship": 1}, cancel_after="PT1H").output == 1


def test_an_execution_without_an_end_fails(workflow: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unspool.testing.simulation.MAX_EVENTS", 5_000)
    with pytest.raises(EndlessExecution, match="does test/test ever end"):
        workflow("do: [{ask: {set: {a: 1}}}, {rest: {wait: PT1H, then: ask}}]").run()


def test_schedules_take_virtual_time(workflow: Make) -> None:
    made = workflow(
        "schedule: {every: PT6H}\ndo:\n  - ask: {call: http, with: {method: get, endpoint: https://a.example.com}}\n"
    )
    start = datetime(2026, 3, 1, tzinfo=UTC)
    runs = made.run_schedule(3, start=start, mocks={"ask": 1})
    assert [time for time, _ in runs] == [start + timedelta(hours=hours) for hours in (6, 12, 18)]
    assert [run.output for _, run in runs] == [1, 1, 1]


def test_cron_and_after(workflow: Make) -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)  # a Sunday
    cron = workflow("schedule: {cron: '30 6 * * MON-FRI'}\ndo: [{say: {set: {a: 1}}}]")
    assert [time.day for time, _ in cron.run_schedule(6, start=start)] == [2, 3, 4, 5, 6, 9]
    after = workflow("schedule: {after: PT1H}\ndo: [{rest: {wait: PT2H}}]")
    assert [time.hour for time, _ in after.run_schedule(3, start=start)] == [0, 3, 6]
    with pytest.raises(ValueError, match="no schedule"):
        workflow("do: [{say: {set: {a: 1}}}]").run_schedule(1)


def test_a_file_that_is_not_valid_is_refused_with_its_lines(tmp_path: Path) -> None:
    file = tmp_path / "order.yaml"
    file.write_text(
        "document: {dsl: '1.0.3', namespace: a, name: b, version: '1.0.0'}\ndo:\n  - a: {sett: {}}\n"
    )
    with pytest.raises(DefinitionInvalid, match=r"order\.yaml:3:"):
        Workflow.from_file(file)


def test_a_definition_can_be_python_data() -> None:
    document = {"dsl": "1.0.3", "namespace": "test", "name": "data", "version": "1.0.0"}
    made = Workflow.from_definition({"document": document, "do": [{"say": {"set": {"got": "${ . }"}}}]})
    assert made.run().output == {"got": {}}
    assert made.run(None).output == {"got": None}


def test_failed_assertions_say_what_happened(workflow: Make) -> None:
    calls: list[Call] = []
    run = workflow("do:\n  - ask: {call: http, with: {method: get, endpoint: https://a.example.com}}\n").run(
        mocks={"ask": calls.append}
    )
    assert [call.task for call in calls] == ["ask"]
    run.assert_path("ask")
    with pytest.raises(AssertionError, match=r"the path is \['ask'\], not \['tell'\]"):
        run.assert_path("tell")
    with pytest.raises(AssertionError, match="'tell' was not called; the calls are \\['ask'\\]"):
        run.assert_called("tell")
    with pytest.raises(AssertionError, match="was called 1 times, not 2"):
        run.assert_called("ask", times=2)
    with pytest.raises(AssertionError, match="was called with"):
        run.assert_called("ask", {"method": "post"})
    with pytest.raises(AssertionError, match="test/test is completed"):
        _ = run.error
