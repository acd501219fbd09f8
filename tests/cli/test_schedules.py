"""`unspool schedules`, and schedules in `deploy`, `run` and `dev`."""

import json
import signal
import time

import pytest
from tests.cli.conftest import PATIENT

REPORT = """\
document: {dsl: '1.0.3', namespace: shop, name: report, version: '1.0.0'}
schedule: {every: {milliseconds: 100}}
do: [{a: {set: {x: 1}}}]
"""


@pytest.fixture
def shared(home, monkeypatch):
    """All commands of a test use one store."""
    monkeypatch.setenv("UNSPOOL_STORE", "sqlite:///shared.db")
    (home / "report.yaml").write_text(REPORT)


@pytest.fixture
def services(shared, start_program):
    """A worker and a timer service, each as a separate process."""
    processes = [start_program(name) for name in ("worker", "timer")]
    for process in processes:  # from now on it handles SIGTERM
        assert json.loads(process.stderr.readline())["action"] == "started"
    yield processes
    for process in processes:
        process.send_signal(signal.SIGTERM)
    for process in processes:
        process.communicate(timeout=60)
    assert [process.returncode for process in processes] == [0, 0]


def test_a_schedule_is_deployed_listed_paused_and_resumed(services, unspool):
    deployed = unspool("deploy", "report.yaml")
    assert (deployed.code, deployed.stderr) == (0, "")
    deadline = time.monotonic() + 60
    while not (item := unspool("schedules", "list", "--json").lines[0])["lastExecution"]:
        assert time.monotonic() < deadline
    assert (item["id"], item["paused"], item["schedule"]) == (
        "shop.report",
        False,
        {"every": {"milliseconds": 100}},
    )
    assert unspool("executions", "show", item["lastExecution"]).code == 0

    paused = unspool("schedules", "pause", "shop.report", "--reason", "holidays", *PATIENT)
    assert (paused.code, paused.stdout) == (0, "schedule shop.report is paused\n")
    count = len(unspool("executions", "list", "--json", "--limit", "10000").lines)
    [heading, line] = unspool("schedules", "list").stdout.splitlines()
    assert heading.split() == ["ID", "VERSION", "STATE", "NEXT", "LAST", "MISSED", "SCHEDULE", "PAUSED", "BY"]
    assert line.split()[:4] == ["shop.report", "1.0.0", "paused", "-"]
    assert "cli:" in line
    assert ": holidays, " in line
    assert len(unspool("executions", "list", "--json", "--limit", "10000").lines) == count

    resumed = unspool("schedules", "resume", "shop.report", "--json", *PATIENT)
    assert (resumed.code, resumed.json["paused"]) == (0, False)
    assert unspool("schedules", "pause", "shop.report", "--no-wait").code == 0


def test_without_a_worker_the_commands_give_up(shared, unspool):
    assert unspool("deploy", "report.yaml").code == 0
    result = unspool("schedules", "pause", "shop.report", "--timeout", "0.1")
    assert result.code == 4
    assert "is a worker running?" in result.stderr


@pytest.mark.parametrize("id_", ["shop.other", "shop", "shop/report"])
def test_an_unknown_schedule_is_bad_usage(shared, unspool, id_):
    result = unspool("schedules", "pause", id_)
    assert result.code == 2
    assert "schedule" in result.stderr


def test_run_runs_a_scheduled_workflow_once(shared, unspool):
    assert unspool("run", "report.yaml", "--sub", "report.yaml").json == {"x": 1}
    assert unspool("schedules", "list", "--json").lines == []


def test_dev_runs_schedules(home, shared, start_program, unspool):
    with start_program("dev", "report.yaml", "--port", "0") as process:
        deadline = time.monotonic() + 180
        while not (found := unspool("schedules", "list", "--json").lines) or not found[0]["lastExecution"]:
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0


def test_an_event_starts_a_workflow(services, home, unspool):
    (home / "events.yaml").write_text(
        REPORT.replace("every: {milliseconds: 100}", "on: {one: {with: {type: t}}}")
    )
    assert "schedule.on" in unspool("validate", "events.yaml").stderr
    assert unspool("deploy", "events.yaml").code == 0
    [item] = unspool("schedules", "list", "--json").lines
    assert (item["next"], item["last"], item["lastExecution"]) == (None, None, None)
    number = 0
    while not item["lastExecution"]:  # a worker may begin the schedule after the first events
        number += 1
        (home / "event.json").write_text(
            json.dumps({"specversion": "1.0", "id": str(number), "source": "/s", "type": "t"})
        )
        assert unspool("events", "publish", "event.json").code == 0
        [item] = unspool("schedules", "list", "--json").lines
    assert unspool("executions", "show", item["lastExecution"], "--json").json["input"] == [None]


def test_the_history_of_a_schedule_says_what_it_started(services, unspool):
    assert unspool("deploy", "report.yaml").code == 0
    deadline = time.monotonic() + 60
    while not unspool("schedules", "list", "--json").lines[0]["lastExecution"]:
        assert time.monotonic() < deadline
    events = unspool("schedules", "history", "shop.report", "--json").lines
    assert "occurrence.started" in {event["type"] for event in events}
    assert "occurrence.started" in unspool("schedules", "history", "shop.report").stdout
    assert unspool("schedules", "history", "shop.other").code == 2


def test_an_event_that_was_published_before_is_named(shared, home, unspool):
    event = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}
    (home / "events.json").write_text(json.dumps([event, {**event, "id": "2"}]))
    assert unspool("events", "publish", "events.json", "--json").json == {"accepted": 2, "duplicates": 0}
    again = unspool("events", "publish", "events.json")
    assert "published 0 events" in again.stderr
    assert "2 events not published again: an event with the same source and id" in again.stderr
