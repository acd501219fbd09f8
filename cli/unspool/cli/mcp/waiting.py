"""Waits for an execution for a bounded time, and tells the client how far it is."""

import asyncio
from typing import Final

from unspool.cli.mcp.tool import Answer, Report
from unspool.cli.targets.port import JsonObject, Target
from unspool.eventstore.records import Status

_REPORT_SECONDS: Final = 2.0
"""The time between two reports."""


async def result_of(target: Target, id_: str, seconds: float, report: Report) -> Answer:
    """Returns the result of an execution as soon as it has ended; after `seconds`, how to look again."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    execution = await target.execution(id_)
    await report(0.0, f"execution {id_} is {execution['status']}")
    while not Status(execution["status"]).ended and (left := began + seconds - loop.time()) > 0:
        execution = await target.execution(id_, wait=min(left, _REPORT_SECONDS))
        await report(loop.time() - began, f"execution {id_} is {execution['status']}")
    return _answer(execution)


def _answer(execution: JsonObject) -> Answer:
    status = Status(execution["status"])
    value = {"execution": execution["id"], "status": status.value}
    match status:
        case Status.COMPLETED:
            return Answer({**value, "output": execution["output"]})
        case Status.FAULTED:
            return Answer({**value, "error": execution["error"]}, failed=True)
        case Status.CANCELLED:
            return Answer(value, failed=True)
        case _:
            hint = (
                "It continues. `execution_result` with this id waits for its end; `why_execution_waits` "
                "says what it waits for."
            )
            return Answer({**value, "hint": hint})
