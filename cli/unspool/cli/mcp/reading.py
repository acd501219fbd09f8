"""The tools that read. They change nothing."""

import asyncio
from functools import partial
from typing import Any, Final

from unspool.api.execution_filters import BadFilter, FilterTexts, read_filter
from unspool.cli.deployed import named
from unspool.cli.drawing import Drawn, drawing, with_state
from unspool.cli.exits import CommandError
from unspool.cli.mcp.tool import ID, Answer, Arguments, Report, UnspoolTool
from unspool.cli.mcp.waiting import result_of
from unspool.cli.targets.port import JsonObject, Target
from unspool.definitions.expressions import JqRunner
from unspool.eventstore.clock import SystemClock
from unspool.eventstore.event_json import event_json
from unspool.eventstore.ids import EXECUTION_ID
from unspool.eventstore.records import Status, WorkflowRef

MOST_WORKFLOWS: Final = 500
_MOST_EXECUTIONS: Final = 100
_MOST_EVENTS: Final = 200
_MOST_LETTERS: Final = 50
MOST_WAIT_SECONDS: Final = 120

_WORKFLOW: Final = {
    "type": "string",
    "maxLength": 2200,
    "description": "NAMESPACE/NAME for the latest version, or NAMESPACE/NAME:VERSION",
}


async def _workflows(target: Target, arguments: Arguments, _report: Report) -> Answer:
    text = arguments.get("search", "")
    found = [each for each in await target.workflows() if text in f"{each['namespace']}/{each['name']}"]
    answer = {"items": found[:MOST_WORKFLOWS], "more": max(0, len(found) - MOST_WORKFLOWS)}
    return Answer(answer)


async def _workflow(target: Target, arguments: Arguments, _report: Report) -> Answer:
    return Answer(await target.definition(await target.resolve(named(arguments["workflow"]))))


async def _executions(target: Target, arguments: Arguments, _report: Report) -> Answer:
    texts = FilterTexts(
        statuses=arguments.get("status", []),
        workflow=arguments.get("workflow"),
        since=arguments.get("since"),
        until=arguments.get("until"),
        id=arguments.get("id"),
        parent=arguments.get("parent"),
        tags=[f"{name}:{value}" for name, value in arguments.get("tags", {}).items()],
    )
    try:
        criteria = read_filter(texts, SystemClock().now())
    except BadFilter as error:
        raise CommandError(str(error)) from None
    found = await target.executions(criteria, arguments.get("limit", 20), summary=True)
    return Answer({"items": [_summary(each) for each in found]})


def _summary(execution: JsonObject) -> JsonObject:
    """An execution without its input and output."""
    kept = {name: value for name, value in execution.items() if name not in {"input", "output", "tenant"}}
    return {**kept, "workflow": str(WorkflowRef(**execution["workflow"]))}


async def _execution(target: Target, arguments: Arguments, _report: Report) -> Answer:
    execution = dict(await target.execution(arguments["id"]))
    if not Status(execution["status"]).ended:
        execution["why"] = (await target.why(arguments["id"]))["sentence"]
    return Answer(execution)


async def _result(target: Target, arguments: Arguments, report: Report) -> Answer:
    return await result_of(target, arguments["id"], arguments.get("wait", 0.0), report)


async def _history(target: Target, arguments: Arguments, _report: Report) -> Answer:
    limit = arguments.get("limit", 50)
    events = await target.history(arguments["id"], after=arguments.get("after", 0), limit=limit)
    after = events[-1].seq if len(events) == limit else None
    return Answer({"items": [event_json(event) for event in events], "next": after})


async def _why(target: Target, arguments: Arguments, _report: Report) -> Answer:
    return Answer(await target.why(arguments["id"]))


async def _diagram(jq: JqRunner, target: Target, arguments: Arguments, _report: Report) -> Answer:
    form = {"mermaid": "mermaid", "text": "ascii"}[arguments.get("form", "mermaid")]
    if execution := arguments.get("execution"):
        drawn = await with_state(target, execution, arguments.get("at"), None)
    elif workflow := arguments.get("workflow"):
        drawn = Drawn(await target.definition(await target.resolve(named(workflow))))
    else:
        raise CommandError("name a workflow or an execution")
    return Answer(await asyncio.to_thread(drawing, form, drawn, jq))


async def _counts(target: Target, _arguments: Arguments, _report: Report) -> Answer:
    return Answer(await target.counts())


async def _schedules(target: Target, _arguments: Arguments, _report: Report) -> Answer:
    return Answer({"items": await target.schedules()})


async def _dead_letters(target: Target, arguments: Arguments, _report: Report) -> Answer:
    execution = arguments.get("execution")
    if execution is not None and not EXECUTION_ID.fullmatch(execution):
        raise CommandError(f"{execution!r} is not an execution's id")
    return Answer({"items": await target.dead_letters(execution, _MOST_LETTERS)})


def _number(least: int, most: int, text: str, default: int | None = None) -> dict[str, Any]:
    default_ = {} if default is None else {"default": default}
    return {"type": "integer", "minimum": least, "maximum": most, "description": text, **default_}


_TIME: Final = {"type": "string", "maxLength": 64}

TOOLS: Final = (
    UnspoolTool(
        "list_workflows",
        "List workflows",
        "Lists the deployed workflows with their versions.",
        {"search": {"type": "string", "maxLength": 200, "description": "Part of NAMESPACE/NAME"}},
        _workflows,
    ),
    UnspoolTool(
        "show_workflow",
        "Show a workflow",
        "Returns the definition of a workflow, as YAML or JSON text (CNCF Serverless Workflow DSL).",
        {"workflow": _WORKFLOW},
        _workflow,
        ("workflow",),
    ),
    UnspoolTool(
        "list_executions",
        "List executions",
        "Lists or searches executions, the newest first, without their data. All filters have to match.",
        {
            "status": {"type": "array", "items": {"enum": [status.value for status in Status]}},
            "workflow": _WORKFLOW,
            "since": {**_TIME, "description": "Created since: 2026-01-31T12:00:00Z, or an age: 30m, 12h, 7d"},
            "until": {**_TIME, "description": "Created before: a time as for `since`"},
            "id": {"type": "string", "maxLength": 129, "description": "An id; ids that begin with it with *"},
            "parent": {**ID, "description": "The execution that started them as sub-workflows"},
            "tags": {"type": "object", "additionalProperties": {"type": "string"}, "maxProperties": 16},
            "limit": _number(1, _MOST_EXECUTIONS, "How many, at most", 20),
        },
        _executions,
    ),
    UnspoolTool(
        "count_executions",
        "Count executions",
        "Returns how many executions are in each status.",
        {},
        _counts,
    ),
    UnspoolTool(
        "show_execution",
        "Show an execution",
        "Returns an execution: status, times, tags, input, output or error, and why it waits.",
        {"id": ID},
        _execution,
        ("id",),
    ),
    UnspoolTool(
        "execution_result",
        "Get the result of an execution",
        "Returns the output or the error of an execution; with `wait`, waits so many seconds for its end.",
        {
            "id": ID,
            "wait": {
                "type": "number",
                "minimum": 0,
                "maximum": MOST_WAIT_SECONDS,
                "description": "Seconds to wait for its end",
            },
        },
        _result,
        ("id",),
    ),
    UnspoolTool(
        "execution_history",
        "Show the history of an execution",
        "Returns events of the history in order, a page at a time; `next` is the `after` of the next page.",
        {
            "id": ID,
            "after": _number(0, 10**12, "Only events after this number", 0),
            "limit": _number(1, _MOST_EVENTS, "How many, at most", 50),
        },
        _history,
        ("id",),
    ),
    UnspoolTool(
        "why_execution_waits",
        "Say why an execution waits",
        "Says in a sentence, with facts, what an execution waits for.",
        {"id": ID},
        _why,
        ("id",),
    ),
    UnspoolTool(
        "list_schedules",
        "List schedules",
        "Lists the schedules that start executions, with their next and last occurrence.",
        {},
        _schedules,
    ),
    UnspoolTool(
        "list_dead_letters",
        "List dead letters",
        "Lists messages and tasks that failed too often; an execution with one is stuck.",
        {"execution": ID},
        _dead_letters,
    ),
)


def diagram_tool(jq: JqRunner) -> UnspoolTool:
    """Returns the tool that draws. `jq` checks expressions of definitions outside the compiled subset."""
    return UnspoolTool(
        "draw_diagram",
        "Draw a diagram",
        "Draws a workflow, or an execution with the states of its tasks, as Mermaid or as plain text.",
        {
            "workflow": _WORKFLOW,
            "execution": ID,
            "at": _number(0, 10**12, "With an execution: as of this event"),
            "form": {"enum": ["mermaid", "text"], "default": "mermaid"},
        },
        partial(_diagram, jq),
    )
