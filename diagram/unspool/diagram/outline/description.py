"""What a diagram says of a task: its kind, and what it does in a few words."""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from unspool.diagram.outline.texts import (
    duration,
    endpoint,
    error,
    events,
    expression,
    one_line,
    text_of,
)


class Description(NamedTuple):
    """The kind of a task, and what it does."""

    kind: str
    variant: str
    label: str
    summary: str


def describe(task: Mapping[str, Any]) -> Description:
    """Returns what a diagram says of a task, as the author wrote it."""
    kind = next((kind for kind in _KINDS if kind in task), "")
    if not kind:
        return Description("task", "task", "task", "")
    return _KINDS[kind](task)


def _set(task: Mapping[str, Any]) -> Description:
    value = task["set"]
    names = ", ".join(map(str, list(value)[:10])) if isinstance(value, Mapping) else expression(value)
    return Description("set", "set", "set", one_line(names))


def _do(_task: Mapping[str, Any]) -> Description:
    return Description("do", "do", "do", "")


def _for(task: Mapping[str, Any]) -> Description:
    loop = task["for"]
    return Description(
        "for", "for", "for", f"{text_of(loop.get('each', 'item'))} in {expression(loop.get('in'))}"
    )


def _fork(task: Mapping[str, Any]) -> Description:
    first = "the first to complete wins" if task["fork"].get("compete") else ""
    return Description("fork", "fork", "fork", first)


def _listen(task: Mapping[str, Any]) -> Description:
    return Description("listen", "listen", "listen", events(task["listen"].get("to")))


def _emit(task: Mapping[str, Any]) -> Description:
    written = task["emit"]["event"].get("with", {})
    return Description("emit", "emit", "emit", text_of(written.get("type", "")))


def _raise(task: Mapping[str, Any]) -> Description:
    return Description("raise", "raise", "raise", error(task["raise"]["error"]))


def _switch(_task: Mapping[str, Any]) -> Description:
    return Description("switch", "switch", "switch", "")


def _try(_task: Mapping[str, Any]) -> Description:
    return Description("try", "try", "try", "")


def _wait(task: Mapping[str, Any]) -> Description:
    return Description("wait", "wait", "wait", duration(task["wait"]))


def _call(task: Mapping[str, Any]) -> Description:
    called, arguments = task["call"], task.get("with", {})
    if called not in _PROTOCOLS:
        return Description("call", "function", "call", text_of(called))
    summary = _PROTOCOLS[called](arguments if isinstance(arguments, Mapping) else {})
    return Description("call", called, f"call {called}", one_line(summary))


def _http(arguments: Mapping[str, Any]) -> str:
    return f"{text_of(arguments.get('method', 'get')).upper()} {endpoint(arguments.get('endpoint'))}"


def _grpc(arguments: Mapping[str, Any]) -> str:
    service = arguments.get("service", {})
    return f"{text_of(service.get('name', ''))}.{text_of(arguments.get('method', ''))}"


def _openapi(arguments: Mapping[str, Any]) -> str:
    return text_of(arguments.get("operationId", ""))


def _asyncapi(arguments: Mapping[str, Any]) -> str:
    what = "subscribe to" if "subscription" in arguments else "publish to"
    return f"{what} {text_of(arguments.get('channel', arguments.get('operation', '')))}"


def _mcp(arguments: Mapping[str, Any]) -> str:
    parameters = arguments.get("parameters", {})
    named = parameters.get("name", "") if isinstance(parameters, Mapping) else ""
    return f"{text_of(arguments.get('method', ''))} {text_of(named)}".strip()


def _a2a(arguments: Mapping[str, Any]) -> str:
    return text_of(arguments.get("method", ""))


_PROTOCOLS: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "http": _http,
    "grpc": _grpc,
    "openapi": _openapi,
    "asyncapi": _asyncapi,
    "mcp": _mcp,
    "a2a": _a2a,
}


def _run(task: Mapping[str, Any]) -> Description:
    run = task["run"]
    variant = next((variant for variant in _PROCESSES if variant in run), "shell")
    summary = _PROCESSES[variant](run.get(variant, {}))
    waits = "" if run.get("await", True) is not False else ", not awaited"
    return Description("run", variant, f"run {variant}", one_line(summary + waits))


def _workflow(workflow: Mapping[str, Any]) -> str:
    version = text_of(workflow.get("version", "latest"))
    named = f"{text_of(workflow.get('namespace', ''))}/{text_of(workflow.get('name', ''))}"
    return named if version == "latest" else f"{named}:{version}"


_PROCESSES: Final[Mapping[str, Callable[[Mapping[str, Any]], str]]] = {
    "shell": lambda shell: text_of(shell.get("command", "")),
    "script": lambda script: text_of(script.get("language", "")),
    "container": lambda container: text_of(container.get("image", "")),
    "workflow": _workflow,
}

_KINDS: Final[Mapping[str, Callable[[Mapping[str, Any]], Description]]] = {
    "for": _for,  # before `do`, which is also a member of `for` tasks
    "do": _do,
    "call": _call,
    "emit": _emit,
    "fork": _fork,
    "listen": _listen,
    "raise": _raise,
    "run": _run,
    "set": _set,
    "switch": _switch,
    "try": _try,
    "wait": _wait,
}
