"""Extensions of tasks: lists that run before and after a task's own work (inventory Q1-Q8).

    started -> `before` lists, in the order of declaration -> the task's own work
            -> output, export -> `after` lists, in reverse order -> completed

The tasks of a list are children of the extended run, and an error in them faults it. Their output is
discarded. But if a `before` list is left by `exit`, its output is the raw output of the extended run: neither
the own work nor the later extensions begin. `end` does the same, and the extended run then leads to the end.
"""

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Any, Final

from unspool.definitions.errors import WorkflowError
from unspool.definitions.expressions import Budget
from unspool.definitions.json_value import Json
from unspool.definitions.plan import Body, Directive, Plan, TaskList
from unspool.eventstore.published_events import CloudEvent
from unspool.eventstore.records import Status
from unspool.worker.interpreter.decision_builder import DecisionBuilder, Ended, Fault, TaskInterpreter
from unspool.worker.interpreter.extended import Extended, Stage
from unspool.worker.interpreter.flow import advance, complete, create, fail, finish
from unspool.worker.interpreter.run import Run
from unspool.worker.interpreter.scope import Scope
from unspool.worker.interpreter.state import Purpose, State
from unspool.worker.interpreter.tagging import tag_again

_LEAVING: Final = frozenset({Directive.EXIT, Directive.END})


class Extensions:
    """Interprets tasks that have extensions; the interpreters of their kinds do the tasks' own work."""

    def __init__(self, kinds: Mapping[type[Body], TaskInterpreter]) -> None:
        self._kinds = kinds

    def applying(self, builder: DecisionBuilder, run: Run) -> list[str]:
        """The extensions whose `when` holds, asked of the raw input (inventory Q2). Raises `Fault`."""
        if _within_extension(builder, run):
            return []
        extensions = builder.task_of(run).extensions
        applying: list[Json] = [pointer for pointer in extensions if _applies(builder, run, pointer)]
        builder.add_size_of(applying)
        return applying

    # -- what happens to a run

    def begin(self, builder: DecisionBuilder, run: Run, body: Any) -> None:
        """Begins the first `before` list."""
        self._begin(builder, run, () if run.extended is None else run.extended.extensions)

    def child_completed(self, builder: DecisionBuilder, run: Run, body: Any, child: Ended) -> None:
        """Continues in the list of an extension, or in the task's own work."""
        extended = run.extended
        if extended is None or extended.current is None:
            self._kind_of(builder, run).child_completed(builder, run, body, child)
        elif advance(builder, run, _list(builder.plan, extended.current, extended.stage), child):
            pass
        elif extended.stage is Stage.AFTER:
            _after_ended(builder, run, extended, child)
        elif child.directive in _LEAVING:
            _bypass(builder, run, child)
        elif builder.state.status is Status.RUNNING:
            self._before_ended(builder, run, extended)

    def child_faulted(
        self, builder: DecisionBuilder, run: Run, body: Any, child: Ended, error: WorkflowError
    ) -> None:
        """An error in an extension faults the extended run; it cannot catch it itself (inventory Q6)."""
        if run.extended is None or run.extended.current is None:
            self._kind_of(builder, run).child_faulted(builder, run, body, child, error)
        else:
            fail(builder, run, error)

    def answered(self, builder: DecisionBuilder, run: Run, body: Any, output: Json) -> None:
        """An executor has done the task's own work."""
        self._kind_of(builder, run).answered(builder, run, body, output)

    def event_received(self, builder: DecisionBuilder, run: Run, body: Any, event: CloudEvent) -> None:
        """An event was published that the task's own work may wait for."""
        self._kind_of(builder, run).event_received(builder, run, body, event)

    def messages_received(self, builder: DecisionBuilder, run: Run, body: Any, data: dict[str, Json]) -> None:
        """An executor has messages for the task's own work."""
        self._kind_of(builder, run).messages_received(builder, run, body, data)

    def timer_fired(self, builder: DecisionBuilder, run: Run, body: Any, purpose: Purpose) -> None:
        """A timer of the task's own work has fired."""
        self._kind_of(builder, run).timer_fired(builder, run, body, purpose)

    def continued(self, builder: DecisionBuilder, run: Run, body: Any) -> None:
        """The task's own work goes on, or the list of an extension, which limits nothing."""
        if run.extended is None or run.extended.current is None:
            self._kind_of(builder, run).continued(builder, run, body)

    def completed(
        self, builder: DecisionBuilder, run: Run, data: dict[str, Json], raw: Json, directive: str | None
    ) -> bool:
        """Begins the last `after` list. Returns False if there is none."""
        assert run.extended is not None  # only such a run has a list to begin
        given = dict(data)
        if builder.task_of(run).output.transform is not None:
            given["raw"] = raw
        if directive is not None:
            given["then"] = directive
        if not _enter(builder, run, reversed(run.extended.extensions), Stage.AFTER, given):
            return False
        tag_again(builder, given)
        builder.clear_timers(builder.run(run.id), purpose=Purpose.ATTEMPT)
        builder.stop_listening(run)
        return True

    def resume(self, builder: DecisionBuilder) -> None:
        """Continues the runs whose `before` list ended while the execution was suspended."""
        for id_ in _held_up(builder.state):
            run = builder.state.runs.get(id_)
            if run is None or run.extended is None:
                continue  # it was cancelled, because one before it faulted
            builder.budget = Budget()
            try:
                self._before_ended(builder, run, run.extended)
            except Fault as fault:
                fail(builder, builder.run(id_), fault.error)

    # -- before the task's own work

    def _before_ended(self, builder: DecisionBuilder, run: Run, extended: Extended) -> None:
        builder.emit("extension.completed", run, {})
        self._begin(builder, builder.run(run.id), extended.extensions[extended.place + 1 :])

    def _begin(self, builder: DecisionBuilder, run: Run, extensions: Iterable[str]) -> None:
        """Begins the first `before` list of these extensions; if there is none, the task's own work."""
        if not _enter(builder, run, extensions, Stage.BEFORE, {}):
            self._kind_of(builder, run).begin(builder, run, builder.task_of(run).body)

    def _kind_of(self, builder: DecisionBuilder, run: Run) -> TaskInterpreter:
        return self._kinds[type(builder.task_of(run).body)]


def _within_extension(builder: DecisionBuilder, run: Run) -> bool:
    """Whether a run is part of an extension: the task of a function that an extension calls can be."""
    while run.parent is not None:
        run = builder.run(run.parent)
        if run.extended is not None and run.extended.current is not None:
            return True
    return False


def _applies(builder: DecisionBuilder, run: Run, pointer: str) -> bool:
    when = builder.plan.extensions[pointer].when
    try:
        return when is None or Scope(builder, run).holds(when, run.raw)
    except Fault as fault:
        raise Fault(fault.error.at(f"{pointer}/when")) from fault


def _held_up(state: State) -> list[str]:
    """Runs that are in a `before` list and have no live task in it."""
    parents = {run.parent for run in state.runs.values()}
    held_up = [
        run
        for run in state.runs.values()
        if run.extended is not None and run.extended.stage is Stage.BEFORE and run.id not in parents
    ]
    return sorted(map(attrgetter("id"), held_up), key=int)


def _list(plan: Plan, extension: str, stage: Stage | None) -> TaskList:
    lists = plan.extensions[extension]
    return lists.before if stage is Stage.BEFORE else lists.after


def _enter(
    builder: DecisionBuilder, run: Run, extensions: Iterable[str], stage: Stage, data: dict[str, Json]
) -> bool:
    """Begins the first list of these extensions that has tasks. Returns False if there is none."""
    for extension in extensions:
        first = _list(builder.plan, extension, stage).first
        if first is not None:
            builder.emit("extension.started", run, {"extension": extension, "stage": stage, **data})
            create(builder, first, run)
            return True
    return False


def _bypass(builder: DecisionBuilder, run: Run, child: Ended) -> None:
    """Completes the extended run with the output of the list (inventory Q3, Q8)."""
    builder.emit("extension.completed", run, {"bypassed": True})
    directive = Directive.END if child.directive == Directive.END else None
    complete(builder, builder.run(run.id), child.output, directive)


def _after_ended(builder: DecisionBuilder, run: Run, extended: Extended, child: Ended) -> None:
    """Begins the `after` list of an earlier extension; if there is none, completes the extended run."""
    builder.emit("extension.completed", run, {})
    assert extended.result is not None  # `after` lists run when there is one
    then = Directive.END if child.directive == Directive.END else None
    earlier = reversed(extended.extensions[: extended.place])
    run = builder.run(run.id)
    if not _enter(builder, run, earlier, Stage.AFTER, {} if then is None else {"then": then}):
        task, result = builder.task_of(run), extended.result
        ended = Ended(task, run.branch, result.output, then or result.then or task.then)
        finish(builder, run, {}, ended)
