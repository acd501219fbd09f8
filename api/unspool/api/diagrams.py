"""Diagrams of definitions as SVG."""

import asyncio
from base64 import b64encode
from hashlib import sha256
from typing import Final

from starlette.responses import Response

from unspool.api.calls import Call
from unspool.api.problems import HttpProblem
from unspool.api.workflows import workflow_of
from unspool.definitions.compile import plan_of
from unspool.definitions.expressions import JqRunner
from unspool.diagram.layout.geometry import Layout
from unspool.diagram.layout.workflow import layout
from unspool.diagram.svg import stylesheet, svg
from unspool.eventstore.errors import NotFound
from unspool.eventstore.port import Definitions
from unspool.eventstore.records import WorkflowRef
from unspool.worker.definition_cache import DefinitionCache

SVG: Final = "image/svg+xml"

_MOST: Final = 50
"""Layouts in memory; a large one has megabytes."""

_PAGE: Final = "page"
"""The `style` of a diagram for a page that has the stylesheet."""


def layouts(store: Definitions, jq: JqRunner) -> DefinitionCache[Layout]:
    """Returns the layouts of stored definitions; the most recently used ones stay in memory."""
    return DefinitionCache(store, lambda text, tenant: layout(plan_of(text, jq.for_tenant(tenant))), _MOST)


async def show_definition(call: Call) -> Response:
    """Returns the diagram of one definition."""
    styled = _styled(call)
    drawn = await _layout(call, await workflow_of(call, call.request.path_params["version"]))
    return _response(await asyncio.to_thread(svg, drawn, styled=styled), styled=styled)


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
    headers = {"Content-Security-Policy": _policy()} if styled else None
    return Response(text, media_type=SVG, headers=headers)


def _policy() -> str:
    """Returns the policy of a diagram that contains the stylesheet: it allows nothing else."""
    digest = b64encode(sha256(stylesheet().encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'none'; base-uri 'none'"
