"""From a checked document to a plan."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from unspool.definitions.document import load
from unspool.definitions.expressions import ExpressionCompiler, ExpressionError, JqRunner
from unspool.definitions.plan import Body, Plan, Task
from unspool.definitions.site import Site, Workbench
from unspool.definitions.tasks.call_http import compile_http_call
from unspool.definitions.tasks.do import compile_do
from unspool.definitions.tasks.for_each import compile_for
from unspool.definitions.tasks.fork import compile_fork
from unspool.definitions.tasks.raise_error import compile_raise
from unspool.definitions.tasks.request import Unsupported
from unspool.definitions.tasks.run_shell import compile_shell
from unspool.definitions.tasks.set import compile_set
from unspool.definitions.tasks.switch import compile_switch
from unspool.definitions.tasks.try_catch import compile_try
from unspool.definitions.tasks.wait import compile_wait


def plan_of(text: str, jq: JqRunner) -> Plan:
    """The plan of a stored definition, which has passed the checks; one that faults if it does not compile.

    Args:
        text: the definition as it was submitted.
        jq: runs the expressions that are outside the pure subset.
    """
    definition = load(text).value
    try:
        return compile_plan(definition, jq)
    except ExpressionError as error:
        return broken_plan(definition, str(error))


def compile_plan(definition: Mapping[str, Any], jq: JqRunner | None) -> Plan:
    """Compiles a definition that has passed the checks.

    Args:
        definition: the document's value.
        jq: runs the expressions that are outside the pure subset.

    Raises:
        ExpressionError: an expression does not compile.
    """
    if definition.get("use", {}).get("extensions"):
        cause = _NOT_YET.format("a workflow with `use.extensions`")
        return broken_plan(definition, cause, "/use/extensions")
    mode = definition.get("evaluate", {}).get("mode", "strict")
    bench = Workbench(ExpressionCompiler(jq=jq, mode=mode), definition.get("use", {}), _compile_body)
    Site("", bench).task(_as_task(definition), definition["document"]["name"], scope="", index=0)
    return _plan(definition, bench.tasks, guarded=bench.guarded)


def broken_plan(definition: Mapping[str, Any], cause: str, instance: str = "/") -> Plan:
    """A plan for a definition that cannot be compiled: whatever begins by it faults, and says why."""
    root = Task(
        name=definition["document"]["name"],
        pointer="",
        scope="",
        index=0,
        definition=definition,
        body=Unsupported(cause, instance),
    )
    return _plan(definition, {"": root}, guarded=False)


def _plan(definition: Mapping[str, Any], tasks: dict[str, Task], *, guarded: bool) -> Plan:
    document = definition["document"]
    return Plan(
        namespace=document["namespace"],
        name=document["name"],
        version=document["version"],
        definition=definition,
        tasks=MappingProxyType(tasks),
        guarded=guarded,
    )


def _as_task(definition: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a workflow that it has in common with a `do` task."""
    return {name: definition[name] for name in ("do", "input", "output", "timeout") if name in definition}


def _compile_body(task: dict[str, Any], site: Site) -> Body:
    for kind, compile_kind in _KINDS.items():
        if kind in task:
            return compile_kind(task, site)
    return Unsupported(_NOT_YET.format("`emit`" if "emit" in task else "`listen`"))


def _compile_call(task: dict[str, Any], site: Site) -> Body:
    if task["call"] == "http":
        return compile_http_call(task, site)
    return Unsupported(_NOT_YET.format(f"`call: {task['call']}`"))


def _compile_run(task: dict[str, Any], site: Site) -> Body:
    if "shell" in task["run"]:
        return compile_shell(task, site)
    process = next(kind for kind in ("container", "script", "workflow") if kind in task["run"])
    return Unsupported(_NOT_YET.format(f"`run: {process}`"))


_KINDS: Final[Mapping[str, Callable[[dict[str, Any], Site], Body]]] = {
    "call": _compile_call,
    "for": compile_for,  # before `do`, which is also one of its members
    "do": compile_do,
    "fork": compile_fork,
    "raise": compile_raise,
    "run": _compile_run,
    "set": compile_set,
    "switch": compile_switch,
    "try": compile_try,
    "wait": compile_wait,
}

_NOT_YET: Final = "this release of Unspool cannot execute {}"
