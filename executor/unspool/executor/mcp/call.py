"""The handler of the kind `mcp`: one session for each call."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from unspool.definitions.errors import WorkflowError, authorization, runtime, timeout
from unspool.definitions.json_value import Json
from unspool.eventstore.records import TaskRequest
from unspool.executor.http.client import HttpClient
from unspool.executor.http.request import prepare as http_request
from unspool.executor.kinds import HandlerServices
from unspool.executor.masking import masked
from unspool.executor.mcp.arguments import McpCall, prepare
from unspool.executor.mcp.http import HttpTransport
from unspool.executor.mcp.http_session import HttpSession
from unspool.executor.mcp.server_process import ProcessLimits
from unspool.executor.mcp.session import Refused, Report, answer
from unspool.executor.mcp.stdio import StdioTransport, program_of
from unspool.executor.mcp.transport import Transport
from unspool.executor.outcome import Completed, Faulted, Outcome, Rejected
from unspool.executor.runs.permission import allowed
from unspool.executor.task_context import TaskContext

_MOST_CHARACTERS: Final = 500
"""How many characters of a server's error go into an error."""

_NOT_ALLOWED: Final = (
    "an MCP server with the transport stdio is a program, which is not allowed on this executor; its "
    "operator can allow it with UNSPOOL_ALLOW=shell or --allow shell"
)

_LOGGERS: Final = ("client", "mcp.shared.jsonrpc_dispatcher")
"""Loggers of the library that write what servers send."""


@asynccontextmanager
async def open_handler(services: HandlerServices) -> AsyncIterator["McpCalls"]:
    """Opens the handler."""
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    yield McpCalls(services)


class McpCalls:
    """Runs `call: mcp` tasks (inventory J23)."""

    def __init__(self, services: HandlerServices) -> None:
        self._services = services
        self._may_start = "shell" in allowed(services.settings)
        self._client = HttpClient(services.outbound, services.settings.http_max_response_bytes)

    async def __call__(self, request: TaskRequest, context: TaskContext) -> Outcome:
        """Makes one call. Every failure becomes an error that the workflow can catch."""
        try:
            call = prepare(request, self._services.settings.http_timeout_seconds)
            return await _outcome(call, self._transport(request), context.report)
        except Rejected as rejected:
            return Faulted(rejected.error)
        except OSError as error:
            return Faulted(runtime(f"the MCP server could not be started: {error.strerror}"))

    def _transport(self, request: TaskRequest) -> Transport:
        transport = request.arguments["transport"]
        if "stdio" in transport:
            return self._stdio(transport["stdio"])
        return self._http(request, transport["http"])

    def _http(self, request: TaskRequest, http: dict[str, Json]) -> Transport:
        headers = http.get("headers")
        arguments = {"method": "POST", "endpoint": http["endpoint"], "headers": headers}
        credentials = self._services.authentication.credentials
        pattern = http_request(request._replace(arguments=arguments), credentials)
        if not any(name.lower() == "idempotency-key" for name in headers or ()):
            del pattern.headers["Idempotency-Key"]  # a session has many requests
        most_bytes = self._services.settings.http_max_response_bytes
        return HttpTransport(HttpSession(self._client, pattern, most_bytes))

    def _stdio(self, stdio: dict[str, Json]) -> Transport:
        if not self._may_start:
            raise Rejected(authorization(_NOT_ALLOWED))
        settings = self._services.settings
        limits = ProcessLimits(
            output_bytes=settings.http_max_response_bytes,
            error_bytes=settings.shell_max_output_bytes,
            processes=settings.run_max_processes or None,
            grace_seconds=settings.shell_kill_grace_seconds,
        )
        return StdioTransport(program_of(stdio), limits, self._services.groups)


async def _outcome(call: McpCall, transport: Transport, report: Report) -> Outcome:
    try:
        async with asyncio.timeout(call.seconds), transport.opened() as streams:
            result = await answer(streams, call, report)
    except TimeoutError:
        detail = f"{transport.label}: {call.method} took longer than {call.seconds:g} s"
        return Faulted(transport.failure or timeout(detail))
    if not isinstance(result, Refused):
        return Completed(result)
    return Faulted(transport.failure or _error(call, transport, result))


def _error(call: McpCall, transport: Transport, refused: Refused) -> WorkflowError:
    """The error of a call that the server refused (inventory V15)."""
    cause = masked(refused.cause, transport.secrets)[:_MOST_CHARACTERS]
    detail = f"{transport.label}: {call.method}: {cause}"
    return runtime(detail, title="MCP error")
