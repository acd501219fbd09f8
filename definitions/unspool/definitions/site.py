"""What compiling a task needs to know of the place where the task stands.

A `Site` is a pointer in a definition together with everything around it: the expression compiler, the
reusable components of `use`, and the plan that is being filled.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeVar

from unspool.definitions.data_schema import BadSchema, DataSchema
from unspool.definitions.durations import NO_TIME, BadDuration, parse_duration
from unspool.definitions.expressions import Expression, ExpressionCompiler, ExpressionError, Template
from unspool.definitions.expressions.template import is_whole, split
from unspool.definitions.json_pointer import child
from unspool.definitions.json_value import Json
from unspool.definitions.plan import (
    IDENTITY,
    Body,
    DataStep,
    Directive,
    DurationTemplate,
    Evaluable,
    Task,
    TaskList,
)
from unspool.definitions.tasks.request import Unsupported
from unspool.definitions.uri_template import Address, UriTemplate


class CannotCompile(Exception):
    """A task that passed the checks still cannot be executed; says why."""


Compiled = TypeVar("Compiled", Expression, Template)

CompileBody = Callable[[dict[str, Any], "Site"], Body]


@dataclass(slots=True)
class Workbench:
    """A plan in the making."""

    expressions: ExpressionCompiler
    use: Mapping[str, Mapping[str, Json]]
    compile_body: CompileBody
    tasks: dict[str, Task] = field(default_factory=dict)
    guarded: bool = False


@dataclass(frozen=True, slots=True)
class Site:
    """A place in a definition that is being compiled."""

    pointer: str
    bench: Workbench

    def at(self, *steps: str | int) -> "Site":
        """A place further down."""
        return Site(child(self.pointer, *steps), self.bench)

    def named(self, component: str, name: str) -> dict[str, Json]:
        """A reusable component of `use` (inventory B9)."""
        try:
            found: dict[str, Json] = self.bench.use[component][name]
        except KeyError:
            raise CannotCompile(f"use.{component} has no '{name}'") from None
        return found

    # -- tasks

    def task_list(self, items: list[dict[str, Any]], *steps: str) -> TaskList:
        """Compiles the list of tasks that stands under these members."""
        site = self.at(*steps)
        tasks = tuple(
            site.at(index, name).task(spec, name, site.pointer, index)
            for index, item in enumerate(items)
            for name, spec in item.items()
        )
        return TaskList.of(site.pointer, tasks)

    def task(self, spec: dict[str, Any], name: str, scope: str, index: int) -> Task:
        """Compiles the task that stands here; one that cannot be compiled faults when it is reached."""
        make = partial(
            Task,
            name=name,
            pointer=self.pointer,
            scope=scope,
            index=index,
            definition=spec,
            condition=self.condition(spec.get("if")),
        )
        try:
            task = make(
                body=self.bench.compile_body(spec, self),
                input=self.data_step(spec.get("input"), "from"),
                output=self.data_step(spec.get("output"), "as"),
                export=self.data_step(spec.get("export"), "as"),
                timeout=self.timeout(spec.get("timeout")),
                then=spec.get("then", Directive.CONTINUE),
            )
        except CannotCompile as error:
            task = make(body=Unsupported(str(error)))
        self.bench.tasks[self.pointer] = task
        return task

    # -- what all tasks have

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

    def _schema(self, spec: dict[str, Any]) -> DataSchema:
        if "document" not in spec:
            raise CannotCompile("a schema from a `resource` is not read yet; write it inline, as `document`")
        try:
            return DataSchema.compile(spec["document"])
        except BadSchema as error:
            raise CannotCompile(str(error)) from error

    # -- values

    def is_expression(self, text: str) -> bool:
        """Whether a text is one expression from end to end, `${ … }`."""
        return is_whole(text)

    def expression(self, source: str) -> Expression:
        """An expression-typed field: bare or wrapped (inventory D4)."""
        return self._noted(self.bench.expressions.expression(source))

    def condition(self, source: str | None) -> Evaluable | None:
        """A condition, if there is one."""
        return None if source is None else self.expression(source)

    def template(self, value: Json) -> Evaluable:
        """A value position: `${ }` in strict mode (inventory D5)."""
        return self._noted(self.bench.expressions.template(value))

    def transformation(self, value: Json) -> Evaluable:
        """A string is an expression, anything else a template (inventory D4, D5, F4).

        In loose mode a string that does not evaluate is taken as it is (inventory D2).
        """
        bare = isinstance(value, str) and not self.bench.expressions.loose
        return self.expression(value) if bare else self.template(value)

    def shell_command(self, text: str) -> Evaluable:
        """A command line, in which `${NAME}` belongs to the shell (inventory D7)."""
        return self._noted(self.bench.expressions.shell_command(text))

    def duration(self, value: Json) -> DurationTemplate:
        """A duration, constant or by expression (inventory N5)."""
        if isinstance(value, str) and self.is_expression(value):
            return DurationTemplate(NO_TIME, self.expression(value))
        try:
            return DurationTemplate(parse_duration(value))
        except BadDuration as error:
            raise CannotCompile(str(error)) from error

    def address(self, text: str) -> Address:
        """A URI, URI template or expression (inventory L1-L4)."""
        pieces = split(text)
        if not any(piece.expression for piece in pieces) and (tried := self._tried(text)) is not None:
            return tried
        parts = tuple(
            self.expression(piece.source) if piece.expression else UriTemplate.parse(piece.source)
            for piece in pieces
        )
        reads = _NOTHING.union(*(part.variables for part in parts if not isinstance(part, UriTemplate)))
        return Address(parts, reads)

    def _tried(self, text: str) -> Address | None:
        """In loose mode a text that may be an expression as a whole (inventory D2)."""
        if not self.bench.expressions.loose:
            return None
        try:
            expression = self.expression(text)
        except ExpressionError:
            return None
        return Address((expression,), expression.variables, UriTemplate.parse(text))

    def endpoint(self, endpoint: Json) -> tuple[Address, Json]:
        """An endpoint's address and its authentication policy, by name or inline."""
        if isinstance(endpoint, str):
            return self.address(endpoint), None
        policy = endpoint.get("authentication")
        if policy is not None and "use" in policy:
            policy = self.named("authentications", policy["use"])
        return self.address(endpoint["uri"]), policy

    def _noted(self, compiled: Compiled) -> Compiled:
        self.bench.guarded = self.bench.guarded or compiled.guarded
        return compiled


_NOTHING: Final[frozenset[str]] = frozenset()
