"""Diagrams of definitions and executions as SVG, and the timelines of executions."""

from base64 import b64encode
from hashlib import sha256
from typing import Final

from starlette.responses import Response

from unspool.api.bounded_work import DRAWINGS
from unspool.api.calls import Call, json_response
from unspool.api.events import MAX_EVENT_NUMBER, log_of
from unspool.api.problems import HttpProblem
from unspool.api.workflows import workflow_of
from unspool.definitions.compile import plan_of
from unspool.definitions.expressions import JqRunner
from unspool.diagram.layout.geometry import Layout
from unspool.diagram.layout.workflow import layout
from unspool.diagram.states import task_states
from unspool.diagram.svg import stylesheet, svg
from unspool.diagram.timeline import MOST as MOST_BARS
from unspool.diagram.timeline import Bars
from unspool.eventstore.errors import NotFound
from unspool.eventstore.port import Definitions
from unspool.eventstore.records import WorkflowRef
from unspool.worker.definition_cache import DefinitionCache

SVG: Final = "image/svg+xml"

_MOST: Final = 50
"""Layouts in memory; a large one has megabytes."""

_BARS: Final = 1_000
"""Bars of a page of a timeline, by default."""

_PAGE: Final = "page"
"""The `style` of a diagram for a page that has the stylesheet."""


def layouts(store: Definitions, jq: JqRunner) -> DefinitionCache[Layout]:
    """Returns the layouts of stored definitions; the most recently used ones stay in memory."""
    return DefinitionCache(store, lambda text, tenant: layout(plan_of(text, jq.for_tenant(tenant))), _MOST)


async def show_definition(call: Call) -> Response:
    """Returns the diagram of one definition."""
    styled = _styled(call)
    drawn = await _layout(call, await workflow_of(call, call.request.path_params["version"]))
    return _response(await DRAWINGS.run_for(call.tenant, svg, drawn, styled=styled), styled=styled)


async def show_execution(call: Call) -> Response:
    """Returns the diagram of the definition of an execution, with its state as of an event."""
    styled = _styled(call)
    record = await call.execution()
    drawn, log = await _layout(call, record.workflow), await log_of(call, record)
    states = task_states(log, [box.key for box in drawn.boxes if box.task is not None])
    return _response(await DRAWINGS.run_for(call.tenant, svg, drawn, states, styled=styled), styled=styled)


async def show_timeline(call: Call) -> Response:
    """Returns a page of the timeline of an execution, as of an event."""
    record = await call.execution()
    after = call.integer("after", minimum=0, maximum=MAX_EVENT_NUMBER) or 0
    limit = call.integer("limit", minimum=1, maximum=MOST_BARS) or _BARS
    drawn, bars = await _layout(call, record.workflow), Bars(after, limit)
    log = await log_of(call, record, bars)
    return json_response(await DRAWINGS.run_for(call.tenant, bars.to_json, log, drawn))


async def show_stylesheet(_call: Call) -> Response:
    """Returns the stylesheet of diagrams, for pages that contain them."""
    return Response(stylesheet(), media_type="text/css")


async def _layout(call: Call, workflow: WorkflowRef) -> Layout:
    try:
        return await call.services.layouts.of(call.tenant, workflow)
    except NotFound:
        raise HttpProblem(404, f"the definition {workflow} is not stored") from None


def _styled(call: Call) -> bool:
    style = call.parameter("style")
    if style not in {None, _PAGE}:
        raise HttpProblem(422, "style must be page, or absent")
    return style is None


def _response(text: str, *, styled: bool) -> Response:
    headers = {"Content-Security-Policy": policy()} if styled else None
    return Response(text, media_type=SVG, headers=headers)


def policy() -> str:
    """Returns the policy of a diagram that contains the stylesheet: it allows nothing else."""
    digest = b64encode(sha256(stylesheet().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'none'; base-uri 'none'"
