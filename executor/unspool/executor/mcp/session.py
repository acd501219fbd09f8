"""Makes one call in a session of its own: the start of the session, the request, all pages of a list."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from mcp import MCPError
from mcp.client.session import ClientSession
from mcp.shared.dispatcher import ProgressFnT
from mcp_types import (
    ClientCapabilities,
    InitializedNotification,
    InitializeRequest,
    InitializeRequestParams,
    InitializeResult,
    Request,
    Result,
)
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from unspool.definitions.json_value import Json
from unspool.eventstore.monitoring.trace_context import trace_context
from unspool.executor.mcp.arguments import McpCall
from unspool.executor.mcp.transport import Streams

MOST_PAGES: Final = 1000

_LISTS: Final = {
    "tools/list": "tools",
    "prompts/list": "prompts",
    "resources/list": "resources",
    "resources/templates/list": "resourceTemplates",
}
"""The methods that return lists in pages, and the member that has the items."""


class AnyResult(Result, extra="allow"):
    """A result as the server sent it, with the members that the library does not know."""


@dataclass(frozen=True, slots=True)
class Refused:
    """There is no result."""

    cause: str


class _Unusable(Exception):
    """The server answers, but the call cannot continue."""


Report = Callable[[Json], None]


async def answer(streams: Streams, call: McpCall, report: Report) -> dict[str, Json] | Refused:
    """The result of a call, as the server sent it.

    Args:
        streams: to the server and from it.
        call: what to call.
        report: gets the progress of a tool.
    """
    # Errors become values here: exceptions that leave the library's task groups become groups.
    async with ClientSession(*streams, client_info=call.client) as session:
        try:
            await _begin(session, call)
            return await _result(session, call, report)
        except MCPError as error:
            return Refused(f"{error.message} (code {error.code})")
        except ValidationError as error:
            return Refused(f"its answer is not valid: {_first_problem(error)}")
        except _Unusable as problem:
            return Refused(str(problem))


async def _begin(session: ClientSession, call: McpCall) -> None:
    """Agrees on a protocol version: the one of the call, or another that server and library know."""
    if call.version in MODERN_PROTOCOL_VERSIONS:
        await session.discover()
        return
    parameters = InitializeRequestParams(
        protocol_version=call.version, capabilities=ClientCapabilities(), client_info=call.client
    )
    result = await session.send_request(InitializeRequest(params=parameters), InitializeResult)
    if result.protocol_version not in HANDSHAKE_PROTOCOL_VERSIONS:
        raise _Unusable("it speaks another version of the protocol")
    session.adopt(result)
    await session.send_notification(InitializedNotification())


async def _result(session: ClientSession, call: McpCall, report: Report) -> dict[str, Json]:
    heard = _progress(report) if call.method == "tools/call" else None
    result = await _request(session, call.method, call.parameters, heard)
    items = _LISTS.get(call.method)
    if items is None or "cursor" in call.parameters:  # the author reads page by page
        return result
    seen: set[str] = set()
    found = list(result[items])
    while (cursor := result.pop("nextCursor", None)) is not None:
        if cursor in seen or len(seen) == MOST_PAGES:
            raise _Unusable("its list does not end")
        seen.add(cursor)
        page = await _request(session, call.method, {**call.parameters, "cursor": cursor})
        found += page[items]
        result = {**result, **page}
    return {**result, items: found}


def _progress(report: Report) -> ProgressFnT:
    async def heard(progress: float, total: float | None, message: str | None) -> None:
        known = {"progress": progress, "total": total, "message": message}
        with suppress(ValueError):  # the message is too long
            report({name: value for name, value in known.items() if value is not None})

    return heard


async def _request(
    session: ClientSession, method: str, parameters: dict[str, Any], heard: ProgressFnT | None = None
) -> dict[str, Json]:
    context = trace_context.get()
    if context:  # the place that the protocol has for it ("_meta")
        parameters = {**parameters, "_meta": {**context, **parameters.get("_meta", {})}}
    request = Request[dict[str, Any], str](method=method, params=parameters)
    result = await session.send_request(request, AnyResult, progress_callback=heard)
    return result.model_dump(by_alias=True, mode="json", exclude_unset=True)


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"
