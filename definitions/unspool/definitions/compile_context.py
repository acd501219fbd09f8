"""The context in which a part of a definition is compiled.

A `CompileContext` has the pointer of the part and a `PlanBuilder`: the expression compiler, the reusable
components of `use`, and the tasks that are compiled.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeVar

from unspool.definitions.data_schema import BadSchema, DataSchema
from unspool.definitions.durations import NO_TIME, BadDuration, parse_duration
from unspool.definitions.evaluable import Evaluable
from unspool.definitions.expressions import Expression, ExpressionCompiler, ExpressionError, Template
from unspool.definitions.expressions.template import is_whole, split
from unspool.definitions.extension_targets import EXTENSIONS, target_of
from unspool.definitions.json_pointer import child
from unspool.definitions.json_value import Json
from unspool.definitions.plan import (
    IDENTITY,
    Body,
    DataStep,
    Directive,
    DurationTemplate,
    Task,
    TaskList,
    resources_of,
)
from unspool.definitions.resource import ResourceReference
from unspool.definitions.tasks.request import Unsupported
from unspool.definitions.uri_template import Address, UriTemplate


class TaskNotCompilable(Exception):
    """A task that passed the checks cannot be executed."""


Compiled = TypeVar("Compiled", Expression, Template)

CompileBody = Callable[[dict[str, Any], "CompileContext"], Body]
ReferToSchema = Callable[[Json, "CompileContext"], ResourceReference]


@dataclass(slots=True)
class PlanBuilder:
    """Collects the parts of a plan."""

    expressions: ExpressionCompiler
    use: Mapping[str, Any]
    compile_body: CompileBody
    refer_to_schema: ReferToSchema
    """Makes the reference to the schema at an endpoint."""
    base: str = ""
    """The address of the text, for relative addresses in it; empty for a workflow."""
    tasks: dict[str, Task] = field(default_factory=dict)
    extensions_by_target: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Pointers of extensions by the kind of tasks that they extend."""
    functions: set[str] = field(default_factory=set)
    """Pointers of the functions that are compiled, or being compiled."""
    guarded: bool = False


@dataclass(frozen=True, slots=True)
class CompileContext:
    """The place in a definition that is compiled."""

    pointer: str
    builder: PlanBuilder

    def at(self, *steps: str | int) -> "CompileContext":
        """Returns the context of a value below."""
        return CompileContext(child(self.pointer, *steps), self.builder)

    def named(self, component: str, name: str) -> dict[str, Json]:
        """Returns a reusable component of `use` (inventory B9)."""
        try:
            found: dict[str, Json] = self.builder.use[component][name]
        except KeyError:
            raise TaskNotCompilable(f"use.{component} has no '{name}'") from None
        return found

    # -- tasks

    def task_list(self, items: list[dict[str, Any]], *steps: str) -> TaskList:
        """Compiles a list of tasks.

        Args:
            items: the list in the definition.
            steps: the members that lead from here to the list.
        """
        context = self.at(*steps)
        tasks = tuple(
            context.at(index, name).task(spec, name, context.pointer, index)
            for index, item in enumerate(items)
            for name, spec in item.items()
        )
        return TaskList.of(context.pointer, tasks)

    def task(self, spec: dict[str, Any], name: str, scope: str, index: int) -> Task:
        """Compiles the task at this place. If it cannot be compiled, it faults when it is reached."""
        make = partial(
            Task,
            name=name,
            pointer=self.pointer,
            scope=scope,
            index=index,
            definition=spec,
            condition=self.condition(spec.get("if")),
            extensions=self._extensions(spec),
        )
        try:
            body = self.builder.compile_body(spec, self)
            steps = (
                self.data_step(spec.get("input"), "from"),
                self.data_step(spec.get("output"), "as"),
                self.data_step(spec.get("export"), "as"),
            )
            task = make(
                body=body,
                input=steps[0],
                output=steps[1],
                export=steps[2],
                timeout=self.timeout(spec.get("timeout")),
                then=spec.get("then", Directive.CONTINUE),
                resources=resources_of(body, *steps),
            )
        except TaskNotCompilable as error:
            task = make(body=Unsupported(str(error)))
        self.builder.tasks[self.pointer] = task
        return task

    def _extensions(self, spec: dict[str, Any]) -> tuple[str, ...]:
        """Returns the pointers of the extensions of a task. The workflow itself and the tasks of extensions
        are not extended (inventory Q1).
        """
        if not self.pointer or self.pointer.startswith(f"{EXTENSIONS}/"):
            return ()
        return self.builder.extensions_by_target.get(target_of(spec), ())

    # -- members of all tasks

    def data_step(self, spec: dict[str, Any] | None, transform: str) -> DataStep:
        """Compiles an `input`, `output` or `export`."""
        if not spec:
            return IDENTITY
        written = spec.get(transform)
        return DataStep(
            None if written is None else self.transformation(written),
            self._schema(spec["schema"]) if "schema" in spec else None,
        )

    def timeout(self, spec: dict[str, Any] | str | None) -> DurationTemplate | None:
        """Compiles a timeout, inline or by name."""
        if spec is None:
            return None
        return self.duration((self.named("timeouts", spec) if isinstance(spec, str) else spec)["after"])

    def _schema(self, spec: dict[str, Any]) -> DataSchema | ResourceReference:
        if "document" not in spec:
            return self.builder.refer_to_schema(spec["resource"]["endpoint"], self)
        try:
            return DataSchema.compile(spec["document"])
        except BadSchema as error:
            raise TaskNotCompilable(str(error)) from error

    # -- values

    def is_expression(self, text: str) -> bool:
        """Returns whether a text is one expression, `${ … }`, and nothing else."""
        return is_whole(text)

    def expression(self, source: str) -> Expression:
        """Compiles a field that is always an expression, with or without `${ }` (inventory D4)."""
        return self._recorded(self.builder.expressions.expression(source))

    def condition(self, source: str | None) -> Evaluable | None:
        """Compiles a condition, if there is one."""
        return None if source is None else self.expression(source)

    def template(self, value: Json) -> Evaluable:
        """Compiles a value that may hold expressions; in strict mode only in `${ }` (inventory D5)."""
        return self._recorded(self.builder.expressions.template(value))

    def transformation(self, value: Json) -> Evaluable:
        """Compiles a string as an expression and anything else as a template (inventory D4, D5, F4).

        In loose mode a string that does not evaluate is plain text (inventory D2).
        """
        bare = isinstance(value, str) and not self.builder.expressions.loose
        return self.expression(value) if bare else self.template(value)

    def shell_command(self, text: str) -> Evaluable:
        """Compiles a shell command, in which `${NAME}` is for the shell (inventory D7)."""
        return self._recorded(self.builder.expressions.shell_command(text))

    def duration(self, value: Json) -> DurationTemplate:
        """Compiles a duration: a constant or an expression (inventory N5)."""
        if isinstance(value, str) and self.is_expression(value):
            return DurationTemplate(NO_TIME, self.expression(value))
        try:
            return DurationTemplate(parse_duration(value))
        except BadDuration as error:
            raise TaskNotCompilable(str(error)) from error

    def address(self, text: str) -> Address:
        """Compiles a URI, a URI template or an expression (inventory L1-L4)."""
        pieces = split(text)
        if (
            not any(piece.expression for piece in pieces)
            and (loose := self._loose_expression(text)) is not None
        ):
            return loose
        parts = tuple(
            self.expression(piece.source) if piece.expression else UriTemplate.parse(piece.source)
            for piece in pieces
        )
        reads = _NO_VARIABLES.union(*(part.variables for part in parts if not isinstance(part, UriTemplate)))
        return Address(parts, reads)

    def _loose_expression(self, text: str) -> Address | None:
        """Compiles a text as one expression in loose mode; None if that is not possible (inventory D2)."""
        if not self.builder.expressions.loose:
            return None
        try:
            expression = self.expression(text)
        except ExpressionError:
            return None
        return Address((expression,), expression.variables, UriTemplate.parse(text))

    def endpoint(self, endpoint: Json) -> tuple[Address, Json]:
        """Returns the address and the authentication policy of an endpoint, named or inline."""
        if isinstance(endpoint, str):
            return self.address(endpoint), None
        policy = endpoint.get("authentication")
        if policy is not None and "use" in policy:
            policy = self.named("authentications", policy["use"])
        return self.address(endpoint["uri"]), policy

    def _recorded(self, compiled: Compiled) -> Compiled:
        self.builder.guarded = self.builder.guarded or compiled.guarded
        return compiled


_NO_VARIABLES: Final[frozenset[str]] = frozenset()
