"""Makes the results of a test from its executions."""

from datetime import timedelta

from unspool.eventstore.records import Status
from unspool.testing.execution import Execution
from unspool.testing.run import Run
from unspool.testing.simulation import Simulation


def run_of(simulation: Simulation, execution: Execution) -> Run:
    """Returns what happened in an execution, with its sub-workflows."""
    state = execution.state
    began = state.started_at if state.started_at is not None else simulation.start
    end = state.ended_at if state.ended_at is not None else simulation.now
    children = [each for each in simulation.executions.values() if each.parent == execution.id]
    return Run(
        workflow=execution.workflow,
        status=state.status_phase,
        result=state.output if state.status is Status.COMPLETED else state.error,
        path=_path(execution),
        calls=tuple(call for id_, call in simulation.calls if id_ == execution.id),
        published=tuple(event for id_, event in simulation.published if id_ == execution.id),
        started_after=timedelta(milliseconds=began - simulation.start),
        duration=timedelta(milliseconds=end - began),
        history=tuple(execution.history),
        sub_workflows=tuple(run_of(simulation, child) for child in children),
        waits_for=execution.waits_for,
    )


def _path(execution: Execution) -> tuple[str, ...]:
    started = (event.task for event in execution.history if event.type == "task.started")
    return tuple(execution.task(pointer).name for pointer in started if pointer)
