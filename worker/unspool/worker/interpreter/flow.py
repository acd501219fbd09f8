"""The life of a task, the same around all kinds (dsl.md, "Data Flow", "Task Flow"; inventory F1-F13).

    created -> if -> input.schema -> input.from -> started -> its kind's work
            -> output.as -> output.schema -> export.as -> export.schema -> completed -> where its parent leads

A kind adds only its own work: it is told to `begin`, and says `complete` or raises a `Fault`.
"""

from collections.abc import Mapping
from typing import Final

from unspool.definitions import errors
from unspool.definitions.errors import WorkflowError
from unspool.definitions.expressions import Budget
from unspool.definitions.json_value import Json
from unspool.definitions.plan import IDENTITY, DataStep, Directive, Task, TaskList
from unspool.worker.interpreter.scope import NO_NAMES, Scope
from unspool.worker.interpreter.state import ROOT, Phase, Purpose, Run
from unspool.worker.interpreter.turn import Ended, Fault, Turn

INPUT: Final = object()
"""Stands for the output of a task that hands on its input; the event then need not repeat it.

Said by the task, not found by comparing: what an event holds must not depend on which objects a worker
happens to have in memory.
"""


def create(turn: Turn, task: Task, parent: Run, data: dict[str, Json] | None = None) -> None:
    """Creates a run of a task; it is started when the agenda comes to it."""
    id_ = str(turn.state.last_run + 1)
    run = Run(id_, task.pointer, parent.id, Phase.CREATED, None)
    turn.emit("task.created", run, {"parent": parent.id, **(data or {})})
    turn.agenda.append(id_)


def begin_workflow(turn: Turn, raw: Json) -> None:
    """Starts the workflow itself, the root of all runs (dsl.md, "Data Flow" 1 and 2)."""
    root = turn.plan.root
    workflow = {"namespace": turn.plan.namespace, "name": turn.plan.name, "version": turn.plan.version}
    data: dict[str, Json] = {"workflow": workflow, "input": raw}
    run = Run(ROOT, "", None, Phase.RUNNING, raw, turn.now)
    turn.state.input, turn.state.started_at = raw, turn.now  # `$workflow` is there already
    invalid = None
    try:
        _check(root.input, raw, "input")
        if root.input.transform is not None:
            data["data"] = Scope(turn, run).evaluate(root.input.transform, raw)
    except Fault as fault:
        invalid = fault.error.at("/input")
    turn.emit("workflow.started", None, data)
    run = turn.run(ROOT)
    if invalid is not None:
        fail(turn, run, invalid)
    else:
        _begin(turn, run, root)


def start(turn: Turn, run: Run) -> None:
    """Starts a created run, or passes over it."""
    task = turn.task_of(run)
    turn.budget = Budget()
    try:
        if task.condition is not None and not Scope(turn, run).holds(task.condition, run.raw):
            _skip(turn, run, task)
            return
        data: dict[str, Json] = {}
        _check(task.input, run.raw, "input")
        if task.input.transform is not None:
            data["input"] = Scope(turn, run).evaluate(task.input.transform, run.raw)
    except Fault as fault:
        fail(turn, run, fault.error)
        return
    turn.emit("task.started", run, data)
    _begin(turn, turn.run(run.id), task)


def _begin(turn: Turn, run: Run, task: Task) -> None:
    try:
        set_timeout(turn, run)
        turn.behaviour_of(task).begin(turn, run, task.body)
    except Fault as fault:
        fail(turn, turn.run(run.id), fault.error.at(run.task or "/"))


def set_timeout(turn: Turn, run: Run) -> None:
    """Sets the timer that bounds a run with all that is in it (inventory N1, N3). Raises `Fault`."""
    timeout = turn.task_of(run).timeout
    if timeout is not None:
        turn.schedule(run, Purpose.TIMEOUT, Scope(turn, run).duration(timeout, run.input).due(turn.now))


def _skip(turn: Turn, run: Run, task: Task) -> None:
    """Passes over a task whose `if` does not hold: its raw input goes on, its `then` is moot (F11)."""
    turn.emit("task.completed", run, {"skipped": True})
    _tell_parent(turn, run, Ended(task, run.branch, run.raw, Directive.CONTINUE))


def complete(
    turn: Turn,
    run: Run,
    raw_output: Json,
    directive: str | None = None,
    names: Mapping[str, Json] = NO_NAMES,
) -> None:
    """Completes a run: transforms and checks its output, exports, and leads on.

    What an executor gave is kept in the event if it is transformed: nothing else would tell, and a history
    must be replayable.

    Args:
        turn: the decision.
        run: the run, as it is now.
        raw_output: what the task's own work came to; `INPUT` if it hands on its input.
        directive: where it leads, if not where the task's `then` does.
        names: variables that its `output` and `export` see and the state does not hold.

    Raises:
        Fault: a transformation or a check failed.
    """
    task = turn.task_of(run)
    transform = task.output.transform
    raw = output = run.input if raw_output is INPUT else raw_output
    if transform is not None:
        output = Scope(turn, run, names, raw).evaluate(transform, raw)
    _check(task.output, output, "output")
    if run.parent is None:
        _end(turn, run, "workflow.completed", {"output": output})
        return
    data = {}
    if task.export is not IDENTITY:
        data = _exported(Scope(turn, run, {**names, "output": output}, raw), task.export, output)
    if transform is not None or raw_output is not INPUT:
        data["output"] = output
    if transform is not None and run.phase is Phase.REQUESTED:
        data["raw"] = raw
    turn.clear_timers(run)
    turn.emit("task.completed", run, data)
    _tell_parent(turn, run, Ended(task, run.branch, output, directive or task.then))


def _exported(scope: Scope, export: DataStep, output: Json) -> dict[str, Json]:
    data = {}
    context = scope.turn.state.context
    if export.transform is not None:
        data["context"] = context = scope.evaluate(export.transform, output)
    _check(export, context, "exported context")
    return data


def _tell_parent(turn: Turn, run: Run, ended: Ended) -> None:
    parent = turn.run(str(run.parent))
    task = turn.task_of(parent)
    try:
        turn.behaviour_of(task).child_completed(turn, parent, task.body, ended)
    except Fault as fault:
        fail(turn, turn.run(parent.id), fault.error)


def fail(turn: Turn, run: Run, error: WorkflowError, given: dict[str, Json] | None = None) -> None:
    """Faults a run with an error, which then goes to its parent (dsl.md, "Errors").

    Args:
        turn: the decision.
        run: the run, as it is now.
        error: what went wrong.
        given: more for the event: `raw`, when it is an executor's output that could not be used.
    """
    # Only its `output` can still fault a workflow whose tasks are done: all else says where it happened.
    error = error.at(run.task or "/output").under(turn.error_base)
    if run.parent is None:
        _end(turn, run, "workflow.faulted", {"error": error.to_json()})
        return
    cancel_children(turn, run)
    turn.clear_timers(run)
    turn.emit("task.faulted", run, {"error": error.to_json(), **(given or {})})
    parent = turn.run(run.parent)
    scope = turn.task_of(parent)
    try:
        child = Ended(turn.task_of(run), run.branch)
        turn.behaviour_of(scope).child_faulted(turn, parent, scope.body, child, error)
    except Fault as fault:
        fail(turn, turn.run(parent.id), fault.error)


def cancel(turn: Turn, root: Run) -> None:
    """Cancels the whole execution."""
    _end(turn, root, "workflow.cancelled", {})


def _end(turn: Turn, root: Run, how: str, data: dict[str, Json]) -> None:
    cancel_children(turn, root)
    turn.clear_timers(root)
    turn.emit(how, None, data)


def cancel_children(turn: Turn, run: Run) -> None:
    """Cancels everything below a run, the innermost first."""
    below = turn.state.descendants(run.id)
    for child in below:
        turn.withdraw(child)
        turn.emit("task.cancelled", child, {})
    turn.clear_timers(*below)


def advance(turn: Turn, run: Run, tasks: TaskList, child: Ended) -> bool:
    """Goes on in a list of tasks after one has completed; False if the list is done (inventory H1-H8)."""
    following = tasks.after(child.task, child.directive)
    if following is None:
        return False
    create(turn, following, run)
    return True


def _check(step: DataStep, value: Json, what: str) -> None:
    problems = step.schema.problems(value) if step.schema is not None else ()
    if problems:
        raise Fault(errors.validation(f"{what}: " + "; ".join(problems)))
