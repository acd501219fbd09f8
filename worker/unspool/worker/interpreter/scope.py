"""The variables of expressions: arguments (dsl.md, "Runtime Expression Arguments") and scoped variables.

Only the arguments that an expression reads are created. An argument that is not available at a place is null
there (inventory E2).
"""

from collections.abc import Callable, Mapping
from importlib.metadata import version
from types import MappingProxyType
from typing import Final, NamedTuple

from unspool.definitions import errors
from unspool.definitions.durations import BadDuration, Duration, parse_duration
from unspool.definitions.evaluable import Evaluable
from unspool.definitions.expression_places import described
from unspool.definitions.expressions import NOW, ExpressionError, holds, json_size
from unspool.definitions.json_value import Json
from unspool.definitions.plan import Body, DurationTemplate, Task
from unspool.definitions.tasks.call_asyncapi import Subscribe
from unspool.definitions.tasks.for_each import For, ParallelFor
from unspool.definitions.tasks.iterator import Iterator
from unspool.definitions.tasks.listen import Listen
from unspool.definitions.tasks.request import Request
from unspool.definitions.tasks.try_catch import Try
from unspool.eventstore.clock import rfc3339
from unspool.worker.interpreter.decision_builder import DecisionBuilder, Fault
from unspool.worker.interpreter.iterations import Iterations
from unspool.worker.interpreter.listening import Listening
from unspool.worker.interpreter.run import Loop, Phase, Run

NO_NAMES: Final[Mapping[str, Json]] = MappingProxyType({})
_RUNTIME: Final = {"name": "unspool", "version": version("unspool"), "metadata": {}}


class Scope(NamedTuple):
    """The run in which an expression is evaluated; it decides the values of the variables."""

    builder: DecisionBuilder
    run: Run
    names: Mapping[str, Json] = NO_NAMES
    """Variables that are not in the state (yet), such as a new output or the item of the next iteration."""
    raw_output: Json = None

    def evaluate(self, evaluable: Evaluable, value: Json) -> Json:
        """The value of an expression or template. Raises `Fault` with an `expression` error."""
        try:
            names = evaluable.variables
            variables = self._bind(names) if names else NO_NAMES
            result = evaluable.evaluate_within(value, variables, self.builder.budget)
            self.builder.size += json_size(result)
        except ExpressionError as error:
            raise Fault(errors.expression(self._described(error))) from error
        return result

    def _described(self, error: ExpressionError) -> str:
        """The text of an error, with the place of the expression in the task."""
        task = self.builder.task_of(self.run)
        return described(error, task.pointer, task.definition, self.builder.plan.tasks)

    def holds(self, condition: Evaluable, value: Json) -> bool:
        """Whether a condition holds: not null or false (D12). Raises `Fault` with an `expression` error."""
        return holds(self.evaluate(condition, value))

    def duration(self, template: DurationTemplate, value: Json, *, may_be_over: bool = False) -> Duration:
        """A duration; evaluates it if it is an expression, whose value may be negative if it `may_be_over`.

        Raises `Fault` with an `expression` error.
        """
        if template.expression is None:
            return template.constant
        try:
            return parse_duration(self.evaluate(template.expression, value), may_be_over=may_be_over)
        except BadDuration as error:
            raise Fault(errors.expression(str(error))) from error

    def _bind(self, names: frozenset[str]) -> Mapping[str, Json]:
        return {name: self._argument(name) for name in names}

    def _argument(self, name: str) -> Json:
        if name in self.names:
            return self.names[name]
        argument = _ARGUMENTS.get(name)
        return argument(self) if argument is not None else _scoped_variable(self.builder, self.run, name)


def _scoped_variable(builder: DecisionBuilder, run: Run, name: str) -> Json:
    """The value of an author's variable, the innermost first (inventory E12).

    The expressions of a `try` itself can read the error that it has handled (inventory I31).
    """
    inside, branch = None, None
    while run.parent is not None:
        task = builder.task_of(run)
        declared = _declared(run, task.body, inside, branch)
        if name in declared:
            return declared[name]
        inside, branch, run = task, run.branch, builder.run(run.parent)
    return None


def _declared(run: Run, body: Body, inside: Task | None, branch: int | None) -> Mapping[str, Json]:
    """The variables that a run declares for what is inside it.

    Args:
        run: the run.
        body: the kind of its task.
        inside: the task inside it whose expression is evaluated; None for expressions of the task itself.
        branch: the iteration that the task inside belongs to, if iterations run side by side.
    """
    match body, run.progress:
        case For(each=each, at=at), Loop(items, place) if inside is not None:
            return {at: place, each: items[place]}
        case ParallelFor(each=each, at=at), Iterations(items=items) if branch is not None:
            return {at: branch, each: items[branch]}
        case (
            Listen(each=Iterator(item=item, at=at)) | Subscribe(each=Iterator(item=item, at=at)),
            Listening() as listening,
        ) if inside is not None:
            return {at: listening.place, item: listening.item}
        case Try(), _ if _has_error(run, body, inside):
            return {body.catch.name: run.fault}
        case _:
            return NO_NAMES


def _has_error(run: Run, body: Try, inside: Task | None) -> bool:
    """Whether the error of a `try` can be read: in `catch.do`, and in the `try` itself after an error."""
    return run.fault is not None if inside is None else body.handles(inside)


# -- descriptors


def _task(scope: Scope) -> Json:
    """The members of the task's definition and of its descriptor; the latter have priority (inventory E8).

    In an extension this is the extended task.
    """
    if scope.run.parent is None:
        return None
    run, raw_output = scope.run, scope.raw_output
    parent = scope.builder.run(scope.run.parent)
    if parent.extended is not None and parent.extended.current is not None:
        result = parent.extended.result
        run, raw_output = parent, None if result is None else result.raw_output
    task = scope.builder.task_of(run)
    return {
        **task.definition,
        "name": task.name,
        "reference": task.pointer,
        "definition": task.definition,
        "input": run.raw,
        "output": raw_output,
        "startedAt": _date_time(run.started_at or scope.builder.now),
    }


def _workflow(scope: Scope) -> Json:
    state = scope.builder.state
    return {
        "id": state.execution,
        "definition": scope.builder.plan.definition,
        "input": state.input,
        "startedAt": _date_time(state.started_at),
    }


def _date_time(milliseconds: int | None) -> Json:
    """A DateTime descriptor (dsl.md)."""
    if milliseconds is None:
        return None
    return {
        "iso8601": rfc3339(milliseconds),
        "epoch": {"seconds": milliseconds // 1000, "milliseconds": milliseconds},
    }


def _secrets(_: Scope) -> Json:
    detail = "$secrets has no value here: only arguments of calls and processes can read it"
    raise Fault(errors.authorization(detail, title="Secret not available"))


def _authorization(scope: Scope) -> Json:
    """The authentication of the task's call (inventory E7, K8); null before the input is ready."""
    body = scope.builder.task_of(scope.run).body
    request = body.request if isinstance(body, Subscribe) else body
    if not isinstance(request, Request) or scope.run.phase is Phase.CREATED:
        return None
    if request.authorization is None:
        return None
    own = scope._replace(names={**scope.names, "authorization": None})
    return own.evaluate(request.authorization, scope.run.input)


_ARGUMENTS: Final[Mapping[str, Callable[[Scope], Json]]] = {
    "context": lambda scope: scope.builder.state.context,
    "input": lambda scope: scope.run.input,
    "output": lambda _: None,
    "authorization": _authorization,
    NOW: lambda scope: scope.builder.now / 1000,
    "secrets": _secrets,
    "task": _task,
    "workflow": _workflow,
    "runtime": lambda _: _RUNTIME,
}
