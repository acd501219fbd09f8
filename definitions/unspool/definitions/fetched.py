"""Compiles the texts of external resources.

A function can use no component of the workflow that calls it: none of `use`, no secrets, no extensions. It
has another author. Only functions of the default catalog can call functions of executors: the operator
provides both.
"""

from functools import partial
from types import MappingProxyType
from typing import Final

from unspool.definitions.checks import require_valid
from unspool.definitions.compile import compile_body
from unspool.definitions.compile_context import CompileContext, PlanBuilder
from unspool.definitions.data_schema import BadSchema, DataSchema
from unspool.definitions.document import Document, as_function, load
from unspool.definitions.expressions import ExpressionCompiler, ExpressionError, JqRunner, source_problems
from unspool.definitions.json_pointer import child
from unspool.definitions.json_value import Json
from unspool.definitions.plan import Fetched, FetchedFunction, FetchedSchema, Unusable
from unspool.definitions.problems import DefinitionInvalid
from unspool.definitions.resource import address_of, name_of
from unspool.definitions.resource_address import CATALOG
from unspool.definitions.resource_kind import ResourceKind, kind_of
from unspool.definitions.resource_reference import schema_reference

MAX_FUNCTION_BYTES: Final = 256 * 1024
MAX_TASKS: Final = 1_000
"""Tasks of a function."""
MAX_EXPRESSIONS: Final = 500
"""Expressions of a function, with conditions. All tenants share the thread that compiles them."""

_TASKS: Final = frozenset({"do", "try", "branches"})
"""Members whose value is a list of tasks."""
_CONDITIONS: Final = frozenset({"if", "when", "exceptWhen", "while", "until", "in"})
"""Members whose value is an expression, with or without braces."""

_SHOWN: Final = 3
"""Problems that the cause of an unusable text names."""

_MAPPING: Final = {
    ResourceKind.FUNCTION: "a function is a task, which is a mapping",
    ResourceKind.SCHEMA: "a schema in a file is a mapping",
}
_FUNCTIONS: Final = "/use/functions"


def compile_fetched(key: str, text: str, jq: JqRunner) -> Fetched:
    """Compiles a text for what it is used as.

    Args:
        key: the key of the resource.
        text: what was fetched.
        jq: runs the expressions that do not compile to closures.

    Returns:
        `Unusable` with the cause, if the text is not valid.
    """
    place = address_of(key).partition("?")[0]  # a query may contain keys
    is_function = kind_of(key) is ResourceKind.FUNCTION
    if is_function and len(text.encode()) > MAX_FUNCTION_BYTES:
        return Unusable(f"{place}: a function is larger than {MAX_FUNCTION_BYTES} bytes")
    try:
        document = load(text, name=place, mapping=_MAPPING[kind_of(key)])
        if is_function:
            too_much = _too_much(document.value)
            return Unusable(f"{place}: {too_much}") if too_much else _function(key, document, jq)
        return FetchedSchema(DataSchema.compile(document.value))
    except DefinitionInvalid as invalid:
        shown, others = invalid.problems[:_SHOWN], invalid.problems[_SHOWN:]
        causes = "; ".join(f"{each.line}:{each.column}: {each.message}" for each in shown)
        more = f"; and {len(others)} more problems" if others else ""
        return Unusable(f"{place}:{causes}{more}")
    except (BadSchema, ExpressionError) as error:
        return Unusable(f"{place}: {error}")


def _too_much(function: Json) -> str | None:
    """What a function has too much of to be compiled while others wait."""
    tasks, expressions = 1, 0
    waiting: list[tuple[str, Json]] = [("", function)]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, dict):
            waiting += value.items()
        elif isinstance(value, list):
            tasks += len(value) if name in _TASKS else 0
            waiting += (("", each) for each in value)
        elif isinstance(value, str):
            expressions += "${" in value or name in _CONDITIONS
    if tasks > MAX_TASKS:
        return f"a function has more than {MAX_TASKS} tasks"
    if expressions > MAX_EXPRESSIONS:
        return f"a function has more than {MAX_EXPRESSIONS} expressions"
    return None


def _function(key: str, document: Document, jq: JqRunner) -> FetchedFunction:
    address, name = address_of(key), name_of(key)
    require_valid(
        as_function(document, name),
        expression_problems=partial(source_problems, jq=jq),
        functions=() if address.startswith(f"{CATALOG}:") else None,
    )
    builder = PlanBuilder(
        ExpressionCompiler(jq=jq, mode="strict"), {}, compile_body, schema_reference, base=address
    )
    pointer = child(_FUNCTIONS, name)
    CompileContext(pointer, builder).task(document.value, name, scope=_FUNCTIONS, index=0)
    return FetchedFunction(pointer, MappingProxyType(builder.tasks), guarded=builder.guarded)
