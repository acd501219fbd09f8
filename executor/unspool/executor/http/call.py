"""The handler of the kind `http`: sends requests, follows redirects, makes the output."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from multidict import CIMultiDictProxy

from unspool.definitions import errors
from unspool.definitions.json_value import Json
from unspool.eventstore.records import TaskRequest
from unspool.executor.authentication.policies import Authentication
from unspool.executor.http.client import HttpClient, is_success
from unspool.executor.http.failures import call_error, status_error
from unspool.executor.http.redaction import redacted
from unspool.executor.http.redirect import MAX_HOPS, redirected
from unspool.executor.http.request import HttpRequest, prepare
from unspool.executor.http.response import (
    HttpResponse,
    UnreadableContent,
    check_encoding,
    content,
    header_text,
    to_base64,
)
from unspool.executor.kinds import HandlerServices
from unspool.executor.outbound import Outbound
from unspool.executor.outcome import Completed, Faulted, Outcome, Rejected
from unspool.executor.settings import ExecutorSettings
from unspool.executor.task_context import TaskContext


@asynccontextmanager
async def open_handler(services: HandlerServices) -> AsyncIterator["HttpCall"]:
    """Opens the handler."""
    yield HttpCall(services.outbound, services.settings, services.authentication)


class HttpCall:
    """Runs `call: http` tasks (inventory J.2)."""

    def __init__(
        self, outbound: Outbound, settings: ExecutorSettings, authentication: Authentication
    ) -> None:
        self._client = HttpClient(outbound, settings.http_max_response_bytes)
        self._authentication = authentication
        self._settings = settings

    async def __call__(self, request: TaskRequest, context: TaskContext) -> Outcome:  # noqa: ARG002 - as all handlers
        """Makes one call. Every failure becomes an error that the workflow can catch."""
        try:
            prepared = prepare(request, self._authentication.credentials)
        except Rejected as rejected:
            return Faulted(rejected.error)
        return await self.send(prepared)

    async def send(self, request: HttpRequest) -> Outcome:
        """Sends a request, follows redirects, and makes the output. Every failure becomes an error."""
        seconds = self._settings.http_timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                return Completed(await self._output(request))
        except TimeoutError:
            return Faulted(errors.timeout(f"{request.label} took longer than {seconds:g} s"))
        except Rejected as rejected:
            return Faulted(rejected.error)

    async def get(self, request: TaskRequest) -> HttpResponse:
        """The response to a request without a body, after redirects. It takes no limit of time.

        Raises:
            Rejected: there is no response with success.
        """
        response, last = await self._follow(prepare(request, self._authentication.credentials))
        if not is_success(response.status, redirect=False):
            raise Rejected(status_error(last, response))
        return response

    async def _output(self, request: HttpRequest) -> Json:
        response, request = await self._follow(request)
        if not is_success(response.status, redirect=request.redirect):
            raise Rejected(status_error(request, response))
        if request.output == "raw":
            return to_base64(response.body)
        try:
            check_encoding(response.headers.get("Content-Encoding", ""))
            value = content(response.body, response.headers.get("Content-Type", ""))
        except UnreadableContent as problem:
            raise Rejected(call_error(request, str(problem), title="Unreadable response")) from None
        return value if request.output == "content" else _response_output(request, response, value)

    async def _follow(self, request: HttpRequest) -> tuple[HttpResponse, HttpRequest]:
        """The last response and its request, after redirects (inventory J9)."""
        response = await self._client.send(request)
        hops = 0
        while request.redirect and request.output == "content":
            following = redirected(request, response.status, response.headers.get("Location"))
            if following is None:
                break
            if hops == MAX_HOPS:
                detail = f"{request.label} redirects again after {MAX_HOPS} redirects"
                raise Rejected(
                    errors.communication(detail, title="Too many redirects", status=response.status)
                )
            hops += 1
            request = following
            response = await self._client.send(request)
        return response, request


def _response_output(request: HttpRequest, response: HttpResponse, value: Json) -> dict[str, Json]:
    """The output for `output: response` (dsl-reference.md, "HTTP Response")."""
    return {
        "request": {
            "method": request.method,
            "uri": request.shown_url or str(request.url),
            "headers": redacted(response.sent, request.secret_headers),
        },
        "statusCode": response.status,
        "headers": _joined_headers(response.headers),
        "content": value,
    }


def _joined_headers(headers: CIMultiDictProxy[str]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name in headers:
        joined.setdefault(header_text(name), header_text(", ".join(headers.getall(name))))
    return joined
