"""The progress that an executor reports is an event of the history, and in the state while the task runs."""

from tests.worker.world import PENDING

from unspool.eventstore.records import MessageKind
from unspool.worker.interpreter.snapshot import dump_state, load_state
from unspool.worker.state_json import state_json

CALL = """
do:
  - sync: {call: http, with: {method: get, endpoint: 'http://localhost/sync'}}
"""


def progress_events(run):
    return [event.data["progress"] for event in run.history if event.type == "task.progressed"]


def test_reported_progress_is_in_history_and_state(world):
    run = world(CALL, lambda _: PENDING).start({})
    [request] = run.requests
    run.send(MessageKind.TASK_PROGRESSED, run=request.run, progress={"rows": 10})
    run.send(MessageKind.TASK_PROGRESSED, run=request.run, progress={"rows": 10})
    run.send(MessageKind.TASK_PROGRESSED, run=request.run, progress={"rows": 20})

    assert progress_events(run) == [{"rows": 10}, {"rows": 20}]
    assert state_json(run.state)["running"][0]["progress"] == {"rows": 20}
    assert load_state(dump_state(run.state)) == run.state

    run.send(MessageKind.TASK_COMPLETED, run=request.run, output=1)
    assert run.output == 1  # which also replays the history


def test_progress_of_a_task_that_has_ended_is_ignored(world):
    run = world(CALL, lambda _: PENDING).start({})
    [request] = run.requests
    run.send(MessageKind.TASK_COMPLETED, run=request.run, output=1)
    run.send(MessageKind.TASK_PROGRESSED, run=request.run, progress=1)
    run.send(MessageKind.TASK_PROGRESSED, run="unknown", progress=1)
    assert progress_events(run) == []
