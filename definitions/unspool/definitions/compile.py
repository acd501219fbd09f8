"""Compiles a checked document to a plan."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from unspool.definitions.compile_context import CompileContext, PlanBuilder
from unspool.definitions.document import load
from unspool.definitions.execution_tags import compile_tags
from unspool.definitions.expressions import ExpressionCompiler, ExpressionError, JqRunner
from unspool.definitions.extension_targets import pointers_by_target
from unspool.definitions.extensions import compile_extensions
from unspool.definitions.function_name import CALLS, cataloged, is_address, registered
from unspool.definitions.plan import Body, Extension, Plan, Task
from unspool.definitions.resource_reference import schema_reference
from unspool.definitions.tasks.call_a2a import compile_a2a_call
from unspool.definitions.tasks.call_asyncapi import compile_asyncapi_call
from unspool.definitions.tasks.call_function import compile_external_call, compile_function_call
from unspool.definitions.tasks.call_grpc import compile_grpc_call
from unspool.definitions.tasks.call_http import compile_http_call
from unspool.definitions.tasks.call_mcp import compile_mcp_call
from unspool.definitions.tasks.call_openapi import compile_openapi_call
from unspool.definitions.tasks.call_registered import compile_registered_call
from unspool.definitions.tasks.do import compile_do
from unspool.definitions.tasks.emit import compile_emit
from unspool.definitions.tasks.for_each import compile_for
from unspool.definitions.tasks.fork import compile_fork
from unspool.definitions.tasks.listen import compile_listen
from unspool.definitions.tasks.raise_error import compile_raise
from unspool.definitions.tasks.request import Unsupported
from unspool.definitions.tasks.run_container import compile_container
from unspool.definitions.tasks.run_script import compile_script
from unspool.definitions.tasks.run_shell import compile_shell
from unspool.definitions.tasks.run_workflow import compile_run_workflow
from unspool.definitions.tasks.set import compile_set
from unspool.definitions.tasks.switch import compile_switch
from unspool.definitions.tasks.try_catch import compile_try
from unspool.definitions.tasks.wait import compile_wait


def plan_of(text: str, jq: JqRunner) -> Plan:
    """Compiles a stored definition, which has passed the checks.

    If an expression does not compile, every execution of the returned plan faults.

    Args:
        text: the definition as it was submitted.
        jq: runs the expressions that do not compile to closures.
    """
    definition = load(text).value
    try:
        return compile_plan(definition, jq)
    except ExpressionError as error:
        return broken_plan(definition, str(error))


def compile_plan(definition: Mapping[str, Any], jq: JqRunner | None) -> Plan:
    """Compiles a definition that has passed the checks.

    Args:
        definition: the value of the document.
        jq: runs the expressions that do not compile to closures.

    Raises:
        ExpressionError: an expression does not compile.
    """
    mode = definition.get("evaluate", {}).get("mode", "strict")
    use = definition.get("use", {})
    builder = PlanBuilder(
        ExpressionCompiler(jq=jq, mode=mode),
        use,
        compile_body,
        schema_reference,
        extensions_by_target=pointers_by_target(use.get("extensions", ())),
    )
    CompileContext("", builder).task(_as_task(definition), definition["document"]["name"], scope="", index=0)
    extensions, tags = compile_extensions(builder), compile_tags(definition, builder)
    return replace(_plan(definition, builder.tasks, extensions, guarded=builder.guarded), tags=tags)


def broken_plan(definition: Mapping[str, Any], cause: str) -> Plan:
    """Returns a plan for a definition that cannot be compiled. Its executions fault with the cause."""
    root = Task(
        name=definition["document"]["name"],
        pointer="",
        scope="",
        index=0,
        definition=definition,
        body=Unsupported(cause, "/"),
    )
    return _plan(definition, {"": root}, {}, guarded=False)


def _plan(
    definition: Mapping[str, Any],
    tasks: dict[str, Task],
    extensions: Mapping[str, Extension],
    *,
    guarded: bool,
) -> Plan:
    document = definition["document"]
    return Plan(
        namespace=document["namespace"],
        name=document["name"],
        version=document["version"],
        definition=definition,
        tasks=MappingProxyType(tasks),
        extensions=MappingProxyType(dict(extensions)),
        guarded=guarded,
        needs_resources=any(task.resources for task in tasks.values()),
    )


def _as_task(definition: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the members that a workflow shares with a `do` task."""
    return {name: definition[name] for name in ("do", "input", "output", "timeout") if name in definition}


def compile_body(task: dict[str, Any], context: CompileContext) -> Body:
    """Compiles the part of a task that depends on its kind. Raises `TaskNotCompilable`."""
    return next(compile_kind for kind, compile_kind in _KINDS.items() if kind in task)(task, context)


def _compile_call(task: dict[str, Any], context: CompileContext) -> Body:
    protocol = _PROTOCOLS.get(task["call"])
    if protocol is not None:
        return protocol(task, context)
    if task["call"] in context.builder.use.get("functions", {}):
        return compile_function_call(task, context)
    if cataloged(task["call"]) is not None or is_address(task["call"]):
        return compile_external_call(task, context)
    if task["call"] not in CALLS and (function := registered(task["call"])) is not None:
        return compile_registered_call(task, function, context)
    return Unsupported(_UNSUPPORTED.format(f"`call: {task['call']}`"))


def _compile_run(task: dict[str, Any], context: CompileContext) -> Body:
    if "shell" in task["run"]:
        return compile_shell(task, context)
    if "workflow" in task["run"]:
        return compile_run_workflow(task, context)
    if "script" in task["run"]:
        return compile_script(task, context)
    return compile_container(task, context)


_PROTOCOLS: Final[Mapping[str, Callable[[dict[str, Any], CompileContext], Body]]] = {
    "a2a": compile_a2a_call,
    "asyncapi": compile_asyncapi_call,
    "grpc": compile_grpc_call,
    "http": compile_http_call,
    "mcp": compile_mcp_call,
    "openapi": compile_openapi_call,
}

_KINDS: Final[Mapping[str, Callable[[dict[str, Any], CompileContext], Body]]] = {
    "call": _compile_call,
    "for": compile_for,  # before `do`, which is also a member of `for` tasks
    "do": compile_do,
    "emit": compile_emit,
    "fork": compile_fork,
    "listen": compile_listen,
    "raise": compile_raise,
    "run": _compile_run,
    "set": compile_set,
    "switch": compile_switch,
    "try": compile_try,
    "wait": compile_wait,
}

_UNSUPPORTED: Final = "this release of Unspool cannot execute {}"
