"""How the events of extensions change the state."""

from unspool.eventstore.events import Event
from unspool.worker.interpreter.extended import Extended, Result, Stage
from unspool.worker.interpreter.run import Phase, Run
from unspool.worker.interpreter.run_changes import forget_faulted, forget_lost, put
from unspool.worker.interpreter.state import State


def extension_started(state: State, event: Event) -> None:
    """A list of an extension begins: `before` with the raw input, `after` with the transformed output."""
    run, data = state.runs[str(event.run)], event.data
    extended = _extended(run)._replace(current=data["extension"])
    if data["stage"] == Stage.BEFORE:
        put(state, run._replace(data=run.raw, extended=extended))
        return
    result = extended.result
    if result is None:
        output = data.get("output", run.input)
        result = Result(output, data.get("raw", output))
    if "then" in data:
        result = result._replace(then=data["then"])
    extended = extended._replace(result=result)
    put(state, run._replace(phase=Phase.RUNNING, data=result.output, progress=None, extended=extended))
    if "context" in data:
        state.context = data["context"]
    forget_faulted(state)
    forget_lost(state, run)


def extension_completed(state: State, event: Event) -> None:
    """A list of an extension has ended."""
    run = state.runs[str(event.run)]
    extended = _extended(run).left(bypassed="bypassed" in event.data)
    put(state, run._replace(data=run.input, extended=extended))


def _extended(run: Run) -> Extended:
    if run.extended is None:
        raise ValueError(f"run {run.id} has no extensions")
    return run.extended
