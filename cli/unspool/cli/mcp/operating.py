"""The tools that change executions; only with `--allow-operate`."""

import json
from collections.abc import Awaitable, Callable
from typing import Final

from mcp.types import ToolAnnotations

from unspool.cli.exits import CommandError
from unspool.cli.mcp.tool import ID, Answer, Arguments, Report, UnspoolTool
from unspool.cli.targets.port import Target
from unspool.definitions.cloud_events import problems_of_published
from unspool.eventstore.actors import MAX_REASON
from unspool.eventstore.api_keys import Scope
from unspool.eventstore.clock import SystemClock
from unspool.eventstore.ids import new_id
from unspool.eventstore.records import MessageKind

_WAIT_SECONDS: Final = 10.0
"""How long an operation may take to have its effect."""

_PROPERTIES: Final = {
    "id": ID,
    "reason": {"type": "string", "maxLength": MAX_REASON, "description": "Why; the history shows it"},
}


def _operation(kind: MessageKind) -> Callable[[Target, Arguments, Report], Awaitable[Answer]]:
    async def operate(target: Target, arguments: Arguments, _report: Report) -> Answer:
        id_ = arguments["id"]
        operated = await target.operate(kind, id_, arguments.get("reason"), _WAIT_SECONDS)
        answer = {"execution": id_, "status": operated.after["status"], "applied": operated.applied}
        hint = {} if operated.applied else {"hint": f"{kind} is requested; {await target.no_worker(id_)}"}
        return Answer({**answer, **hint})

    return operate


async def _publish(target: Target, arguments: Arguments, _report: Report) -> Answer:
    event = {"specversion": "1.0", "id": new_id(SystemClock().now()), **arguments["event"]}
    if problems := problems_of_published(event, len(json.dumps(event))):
        raise CommandError("; ".join(problems))
    await target.publish([event])
    return Answer({"published": event["id"]})


def _tool(kind: MessageKind, text: str, *, destructive: bool) -> UnspoolTool:
    return UnspoolTool(
        f"{kind}_execution",
        f"{kind.value.capitalize()} an execution",
        text,
        _PROPERTIES,
        _operation(kind),
        ("id",),
        Scope.OPERATE,
        ToolAnnotations(read_only_hint=False, destructive_hint=destructive, open_world_hint=False),
    )


TOOLS: Final = (
    _tool(
        MessageKind.CANCEL,
        "Cancels an execution, which cannot be undone; running tasks are asked to stop.",
        destructive=True,
    ),
    _tool(
        MessageKind.SUSPEND,
        "Suspends an execution: no new task starts until it is resumed.",
        destructive=False,
    ),
    _tool(MessageKind.RESUME, "Resumes a suspended execution.", destructive=False),
    _tool(
        MessageKind.RETRY,
        "Restarts a faulted execution at the task that faulted, in the same history.",
        destructive=False,
    ),
    UnspoolTool(
        "publish_event",
        "Publish an event",
        "Publishes a CloudEvent to the workflows that listen for it. `id` is made if it is absent.",
        {
            "event": {
                "type": "object",
                "required": ["source", "type"],
                "description": "A CloudEvent 1.0: source, type, and as needed subject, data and others",
            }
        },
        _publish,
        ("event",),
        Scope.START,
        ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=True),
    ),
)
