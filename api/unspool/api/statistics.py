"""Figures of the executions of a workflow: how many succeeded, and how long they took.

They are those of the newest executions, so the work of a request does not grow with the number of executions.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from starlette.responses import Response

from unspool.api.calls import VERSION, Call, json_response
from unspool.api.execution_filters import BadFilter, FilterTexts, read_filter
from unspool.api.problems import HttpProblem
from unspool.api.workflows import workflow_of
from unspool.definitions.json_value import Json
from unspool.eventstore.clock import rfc3339
from unspool.eventstore.listing import ExecutionFilter, Page
from unspool.eventstore.records import ExecutionRecord, Status

MOST: Final = 1_000
"""Executions that the figures are of, at most."""

_DECIDED: Final = frozenset({Status.COMPLETED, Status.FAULTED})
_OPEN: Final = frozenset(status for status in Status if not status.ended)


async def show(call: Call) -> Response:
    """Returns the figures of a workflow, of all its versions or of one, of all times or since one."""
    await workflow_of(call, None)
    version = call.parameter("version")
    if version is not None and not VERSION.fullmatch(version):
        raise HttpProblem(422, "version must be a version such as 1.0.0")
    criteria = ExecutionFilter(workflow=call.workflow, version=version, statuses=_OPEN)
    recent = replace(criteria, statuses=_DECIDED, since=_since(call))
    decided = await call.store.executions(call.tenant, recent, limit=MOST)
    still_open = await call.store.executions(call.tenant, criteria, limit=MOST)
    return json_response(statistics_json(decided, still_open))


def _since(call: Call) -> int | None:
    try:
        return read_filter(FilterTexts(since=call.parameter("since")), call.services.clock.now()).since
    except BadFilter as error:
        raise HttpProblem(422, str(error)) from None


def statistics_json(decided: Page, still_open: Page) -> dict[str, Json]:
    """Returns the figures as JSON.

    Args:
        decided: the newest executions that completed or faulted.
        still_open: the newest that have not ended.
    """
    completed = [record for record in decided.items if record.status is Status.COMPLETED]
    seconds = sorted(_durations(completed))
    return {
        "executions": len(decided.items),
        "all": decided.cursor is None,
        "oldest": rfc3339(decided.items[-1].created_at) if decided.items else None,
        "completed": len(completed),
        "faulted": len(decided.items) - len(completed),
        "successRate": len(completed) / len(decided.items) if decided.items else None,
        "durationSeconds": {"p50": _percentile(seconds, 0.5), "p95": _percentile(seconds, 0.95)},
        "open": len(still_open.items),
        "openAtLeast": still_open.cursor is not None,
    }


def _durations(records: Sequence[ExecutionRecord]) -> list[float]:
    return [
        (record.ended_at - record.started_at) / 1000
        for record in records
        if record.ended_at is not None and record.started_at is not None
    ]


def _percentile(ordered: Sequence[float], share: float) -> float | None:
    """The value that a share of the numbers does not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None
