"""The steps of a task that are the same for all kinds (dsl.md, "Data Flow", "Task Flow"; inventory F1-F13).

    created -> if -> external resources -> input.schema -> input.from -> started -> the work of its kind
            -> output.as -> output.schema -> export.as -> export.schema -> completed -> the next task

A kind adds only its own work: `begin` is called, and it calls `complete` or raises a `Fault`. The lists of
extensions (`extensions.py`) run between `started` and the work, and before `completed`.
"""

from collections.abc import Mapping
from typing import Final

from unspool.definitions import errors
from unspool.definitions.errors import WorkflowError
from unspool.definitions.expressions import Budget
from unspool.definitions.json_value import Json
from unspool.definitions.plan import IDENTITY, DataStep, Directive, Task, TaskList
from unspool.definitions.resource import ResourceReference
from unspool.eventstore.built_in import is_built_in
from unspool.eventstore.records import MessageKind, Status
from unspool.worker.interpreter.decision_builder import DecisionBuilder, Ended, Fault
from unspool.worker.interpreter.resources import has_timeout, has_to_wait, schema_of
from unspool.worker.interpreter.run import ROOT, Phase, Run
from unspool.worker.interpreter.run_changes import inside
from unspool.worker.interpreter.scope import NO_NAMES, Scope
from unspool.worker.interpreter.state import Purpose
from unspool.worker.interpreter.tagging import tag, tag_again

_ANSWERED: Final = frozenset({Phase.REQUESTED, Phase.AWAITING})
"""Phases of a run whose output arrives in a message."""

INPUT: Final = object()
"""Marks the output of a task that returns its input unchanged; the event then does not repeat it.

The task says so explicitly. Comparing the two values is not enough: the content of an event must not depend
on the objects that a worker has in memory.
"""


def create(builder: DecisionBuilder, task: Task, parent: Run, data: dict[str, Json] | None = None) -> None:
    """Creates a run of a task and adds it to the ready queue, which starts it."""
    builder.create_run(task, {"parent": parent.id} if data is None else {"parent": parent.id, **data})


def begin_workflow(builder: DecisionBuilder, raw: Json, origin: dict[str, Json]) -> None:
    """Starts the workflow itself, the root of all runs (dsl.md, "Data Flow" 1 and 2).

    Args:
        builder: the decision.
        raw: the input.
        origin: members of the event that tell where the start comes from: `parent`, `idempotencyKey`,
            and its `tags`.
    """
    root = builder.plan.root
    workflow = {
        "namespace": builder.plan.namespace,
        "name": builder.plan.name,
        "version": builder.plan.version,
    }
    data: dict[str, Json] = {"workflow": workflow, "input": raw, **origin}
    run = Run(ROOT, "", None, Phase.RUNNING, raw, builder.now)
    builder.state.input, builder.state.started_at = raw, builder.now  # for `$workflow`
    invalid = None
    try:
        if not root.resources:
            check(builder, run, root.input, raw, "input")
        if root.input.transform is not None:
            data["data"] = Scope(builder, run).evaluate(root.input.transform, raw)
    except Fault as fault:
        invalid = fault.error.at("/input")
    builder.emit("workflow.started", None, data)
    if builder.plan.tags:
        tag(builder)
    if root.resources:
        continue_workflow(builder)
    elif invalid is not None:
        fail(builder, builder.run(ROOT), invalid)
    else:
        _begin(builder, builder.run(ROOT), root)


def continue_workflow(builder: DecisionBuilder) -> None:
    """Begins with the tasks of a workflow with external schemas, once it has them."""
    root, run = builder.plan.root, builder.run(ROOT)
    try:
        if has_to_wait(builder, run, root):
            return
    except Fault as fault:
        fail(builder, builder.run(ROOT), fault.error.at("/"))
        return
    try:
        check(builder, run, root.input, run.raw, "input")
        if root.input.transform is not None:  # its value is in the state; it may have failed
            Scope(builder, run).evaluate(root.input.transform, run.raw)
    except Fault as fault:
        fail(builder, run, fault.error.at("/input"))
        return
    _begin(builder, run, root)


def start(builder: DecisionBuilder, run: Run) -> None:
    """Starts a created run, or skips it if its `if` does not hold."""
    task = builder.task_of(run)
    builder.budget = Budget()
    try:
        if task.condition is not None and not Scope(builder, run).holds(task.condition, run.raw):
            _skip(builder, run, task)
            return
        if task.resources and has_to_wait(builder, run, task):
            return
        data: dict[str, Json] = {}
        if task.input is not IDENTITY:
            check(builder, run, task.input, run.raw, "input")
            if task.input.transform is not None:
                data["input"] = Scope(builder, run).evaluate(task.input.transform, run.raw)
        if task.extensions and (extensions := builder.extensions.applying(builder, run)):
            data["extensions"] = extensions
    except Fault as fault:
        fail(builder, builder.run(run.id), fault.error)
        return
    builder.emit("task.started", run, data)
    _begin(builder, builder.run(run.id), task)


def _begin(builder: DecisionBuilder, run: Run, task: Task) -> None:
    try:
        if task.timeout is not None:
            set_timeout(builder, run)
        builder.interpreter_of(task).begin(builder, run, task.body)
    except Fault as fault:
        fail(builder, builder.run(run.id), fault.error.at(run.task or "/"))


def set_timeout(builder: DecisionBuilder, run: Run) -> None:
    """Sets the timeout of a run and everything inside it (inventory N1, N3). Raises `Fault`."""
    task = builder.task_of(run)
    timeout = task.timeout
    if timeout is not None and not (task.resources and has_timeout(builder, run)):
        builder.schedule(
            run, Purpose.TIMEOUT, Scope(builder, run).duration(timeout, run.input).due(builder.now)
        )


def _skip(builder: DecisionBuilder, run: Run, task: Task) -> None:
    """Skips a task whose `if` does not hold: its output is its raw input, its `then` is ignored (F11)."""
    finish(builder, run, {"skipped": True}, Ended(task, run.branch, run.raw, Directive.CONTINUE))


def complete(
    builder: DecisionBuilder,
    run: Run,
    raw_output: Json,
    directive: str | None = None,
    names: Mapping[str, Json] = NO_NAMES,
) -> None:
    """Completes a run: transforms and checks its output, exports, and continues in the parent.

    If the output of an executor is transformed, the event also holds the raw output. A replay needs it, and
    it cannot be derived from anything else.

    A suspended workflow does not complete: it does so when it is resumed.

    Args:
        builder: the decision.
        run: the current value of the run.
        raw_output: the result of the task's own work; `INPUT` if it is the input.
        directive: the flow directive, if it is not the task's `then`.
        names: variables for its `output` and `export` that are not in the state.

    Raises:
        Fault: a transformation or a check failed.
    """
    if run.parent is None and builder.state.status is Status.SUSPENDED:
        return
    task = builder.task_of(run)
    transform = task.output.transform
    raw = output = run.input if raw_output is INPUT else raw_output
    if transform is not None:
        output = Scope(builder, run, names, raw).evaluate(transform, raw)
    if task.output is not IDENTITY:
        check(builder, run, task.output, output, "output")
    if run.parent is None:
        _end(builder, run, "workflow.completed", {"output": output})
        return
    data = {}
    if task.export is not IDENTITY:
        data = exported(Scope(builder, run, {**names, "output": output}, raw), task.export, output)
    if transform is not None or raw_output is not INPUT:
        data["output"] = output
    if run.extended is not None and builder.extensions.completed(builder, run, data, raw, directive):
        return
    if transform is not None and run.phase in _ANSWERED:
        data["raw"] = raw
    finish(builder, run, data, Ended(task, run.branch, output, directive or task.then))


def exported(scope: Scope, export: DataStep, output: Json) -> dict[str, Json]:
    """Evaluates and checks an export. Returns `context`, if there is a new one. Raises `Fault`."""
    data = {}
    context = scope.builder.state.context
    if export.transform is not None:
        data["context"] = context = scope.evaluate(export.transform, output)
    check(scope.builder, scope.run, export, context, "exported context")
    return data


def finish(builder: DecisionBuilder, run: Run, data: dict[str, Json], ended: Ended) -> None:
    """Completes a run whose output and directive are known, and continues in its parent.

    A parent that completes, too, is continued in the same loop: a function that calls itself can complete
    hundreds of runs at once, one around the other, and Python limits the depth of its calls.
    """
    builder.stop_waiting(run)
    builder.emit("task.completed", run, data)
    if builder.plan.tags:
        tag_again(builder, data)
    if builder.ended is not None:
        builder.ended.append((str(run.parent), ended))
        return
    builder.ended = [(str(run.parent), ended)]
    for above, child in builder.ended:  # it grows meanwhile
        parent = builder.run(above)
        task = builder.task_of(parent)
        try:
            builder.interpreter_of(task).child_completed(builder, parent, task.body, child)
        except Fault as fault:
            # Otherwise a retry would continue with the tasks that were cancelled here.
            state = builder.state
            cut_off = (
                state.faulted_runs or state.has_children(parent.id) or inside(state.lost_runs, (parent,))
            )
            fail(builder, builder.run(parent.id), fault.error, {"whole": True} if cut_off else None)
    builder.ended = None


def fail(
    builder: DecisionBuilder, run: Run, error: WorkflowError, given: dict[str, Json] | None = None
) -> None:
    """Faults a run with an error and passes the error to its parent (dsl.md, "Errors").

    Args:
        builder: the decision.
        run: the current value of the run.
        error: the error.
        given: more data for the event: `raw`, an executor's output that could not be used; `whole`, if a
            retry runs all tasks inside the run again, also those that had ended.
    """
    # An error of the workflow without a place comes from its `output`: all other errors have their place.
    error = error.at(run.task or "/output").under(builder.error_base)
    if run.parent is None:
        _end(builder, run, "workflow.faulted", {"error": error.to_json()})
        return
    cancel_children(builder, run)
    builder.stop_waiting(run)
    builder.emit("task.faulted", run, {"error": error.to_json(), **(given or {})})
    parent = builder.run(run.parent)
    scope = builder.task_of(parent)
    try:
        child = Ended(builder.task_of(run), run.branch)
        builder.interpreter_of(scope).child_faulted(builder, parent, scope.body, child, error)
    except Fault as fault:
        fail(builder, builder.run(parent.id), fault.error)


def cancel(builder: DecisionBuilder, root: Run, data: dict[str, Json]) -> None:
    """Cancels the whole execution; `data` says who asked for it."""
    _end(builder, root, "workflow.cancelled", data)


def _end(builder: DecisionBuilder, root: Run, how: str, data: dict[str, Json]) -> None:
    cancel_children(builder, root)
    builder.clear_timers(root)
    if builder.state.resources:
        builder.withdraw_resources()
    waiting, parent = builder.state.waiting, builder.state.parent
    builder.emit(how, None, data)
    if parent is not None:
        ended = {"run": parent.run, "child": builder.state.execution, "status": builder.state.status.value}
        # A schedule needs no output, and who cancelled the child is in the history of the child only.
        has_result = not is_built_in(parent.execution) and how != "workflow.cancelled"
        result = data if has_result else {}
        builder.send(parent.execution, MessageKind.CHILD_ENDED, {**ended, **result})
    # Each joins again and then gets the result in a step of its own: it may be large, and they may be many.
    for each in waiting:
        builder.send(builder.state.execution, MessageKind.JOIN, each._asdict())


def cancel_children(builder: DecisionBuilder, run: Run) -> None:
    """Cancels all descendants of a run, the innermost first."""
    below = builder.state.descendants(run.id)
    for child in below:
        builder.withdraw(child)
        builder.emit("task.cancelled", child, {})
    builder.stop_waiting(*below)


def advance(builder: DecisionBuilder, run: Run, tasks: TaskList, child: Ended) -> bool:
    """Continues a list of tasks after one has completed; False if the list is done (inventory H1-H8)."""
    following = tasks.after(child.task, child.directive)
    if following is None:
        return False
    create(builder, following, run)
    return True


def check(builder: DecisionBuilder, run: Run, step: DataStep, value: Json, what: str) -> None:
    """Checks data with the schema of a step. Raises `Fault`."""
    schema = step.schema
    if schema is None:
        return
    if isinstance(schema, ResourceReference):
        schema = schema_of(builder, run, schema)
    problems = schema.problems(value)
    if problems:
        raise Fault(errors.validation(f"{what}: " + "; ".join(map(str, problems))))
