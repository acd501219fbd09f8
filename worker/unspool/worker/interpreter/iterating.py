"""Processes events and messages one after another, with the tasks of `foreach` (inventory I48, J17)."""

from unspool.definitions import errors
from unspool.definitions.expressions import LimitExceeded
from unspool.definitions.json_value import Json
from unspool.definitions.tasks.iterator import Iterator
from unspool.worker.interpreter.decision_builder import DecisionBuilder, Fault
from unspool.worker.interpreter.flow import check, create, exported
from unspool.worker.interpreter.listening import Listening
from unspool.worker.interpreter.run import Run
from unspool.worker.interpreter.scope import Scope
from unspool.worker.interpreter.tagging import tag_again


def progress_of(run: Run) -> Listening:
    """What a run that listens, or has subscribed, has consumed."""
    assert isinstance(run.progress, Listening)  # from its first event on
    return run.progress


def iterate(builder: DecisionBuilder, run: Run, each: Iterator, processed: str) -> None:
    """Processes what waits. Stops where tasks have to run first. Raises `Fault`.

    `processed` is the type of the event after an iteration.
    """
    while progress_of(builder.run(run.id)).waiting:
        run = builder.run(run.id)
        if each.tasks.first is not None:
            create(builder, each.tasks.first, run)
            return
        process(builder, run, each, progress_of(run).item, processed)


def process(builder: DecisionBuilder, run: Run, each: Iterator, value: Json, processed: str) -> None:
    """Transforms, checks and exports the output of an iteration. Raises `Fault`."""
    listening = progress_of(run)
    scope = Scope(builder, run, {each.item: listening.item, each.at: listening.place}, value)
    data: dict[str, Json] = {}
    output = value
    if each.output.transform is not None:
        data["output"] = output = scope.evaluate(each.output.transform, value)
    check(builder, run, each.output, output, "output")
    after = scope._replace(names={**scope.names, "output": output})
    data |= exported(after, each.export, output)
    builder.emit(processed, run, data)
    tag_again(builder, data)


def bounded_results(builder: DecisionBuilder, listening: Listening, what: str) -> list[Json]:
    """Returns the output of the task. Raises `Fault` if it is too large."""
    results = listening.results()
    try:
        builder.add_size_of(results)
    except LimitExceeded as error:
        raise Fault(errors.runtime(f"the {what} together: {error}")) from error
    return results
