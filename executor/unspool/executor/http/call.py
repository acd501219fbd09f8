"""The handler of the `http` queue: sends requests, follows redirects, reads responses, within limits."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import aiohttp
from multidict import CIMultiDictProxy
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random

from unspool.definitions import errors
from unspool.definitions.json_value import Json
from unspool.eventstore.records import TaskRequest
from unspool.executor.egress import AddressRefused
from unspool.executor.http.credentials import redacted
from unspool.executor.http.failures import call_error, connection_error, status_error
from unspool.executor.http.redirect import MAX_HOPS, redirected
from unspool.executor.http.request import HttpRequest, prepare
from unspool.executor.http.response import HttpResponse, UnreadableContent, content, header_text, to_base64
from unspool.executor.kinds import HandlerServices
from unspool.executor.outcome import Completed, Faulted, Outcome, Rejected
from unspool.executor.settings import ExecutorSettings
from unspool.executor.task_context import TaskContext

_STREAMED_BODY_BYTES: Final = 256 * 1024
"""Request bodies of this size or more are written in pieces."""

_ERROR_BODY_BYTES: Final = 64 * 1024
"""How much of the body of an error response is read."""


@asynccontextmanager
async def open_handler(services: HandlerServices) -> AsyncIterator["HttpCall"]:
    """Opens the handler."""
    yield HttpCall(services.outbound.session, services.settings)


class HttpCall:
    """Runs `call: http` tasks (inventory J.2)."""

    def __init__(self, session: aiohttp.ClientSession, settings: ExecutorSettings) -> None:
        self._session = session
        self._settings = settings

    async def __call__(self, request: TaskRequest, context: TaskContext) -> Outcome:  # noqa: ARG002 - as all handlers
        """Makes one call. Every failure becomes an error that the workflow can catch."""
        try:
            prepared = prepare(request)
            seconds = self._settings.http_timeout_seconds
            try:
                async with asyncio.timeout(seconds):
                    return Completed(await self._output(prepared))
            except TimeoutError:
                return Faulted(errors.timeout(f"{prepared.label} took longer than {seconds:g} s"))
        except Rejected as rejected:
            return Faulted(rejected.error)

    async def get(self, request: TaskRequest) -> HttpResponse:
        """The response to a request without a body, after redirects. It takes no limit of time.

        Raises:
            Rejected: there is no response with success.
        """
        response, last = await self._follow(prepare(request))
        if not _is_success(response.status, redirect=False):
            raise Rejected(status_error(last, response))
        return response

    async def _output(self, request: HttpRequest) -> Json:
        response, request = await self._follow(request)
        if not _is_success(response.status, redirect=request.redirect):
            raise Rejected(status_error(request, response))
        if request.output == "raw":
            return to_base64(response.body)
        try:
            value = content(response.body, response.headers.get("Content-Type", ""))
        except UnreadableContent as problem:
            raise Rejected(call_error(request, str(problem), title="Unreadable response")) from None
        return value if request.output == "content" else _response_output(request, response, value)

    async def _follow(self, request: HttpRequest) -> tuple[HttpResponse, HttpRequest]:
        """The last response and its request, after redirects (inventory J9)."""
        response = await self._send(request)
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
            response = await self._send(request)
        return response, request

    async def _send(self, request: HttpRequest) -> HttpResponse:
        try:
            return await self._exchange(request)
        except aiohttp.ClientConnectorError as error:
            if not _was_not_sent(error):
                raise Rejected(connection_error(request, error)) from None
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise Rejected(connection_error(request, error)) from None
        return await self._retry(request)

    async def _retry(self, request: HttpRequest) -> HttpResponse:
        """Sends a request whose connection failed up to two more times, within about half a second."""
        retrying = AsyncRetrying(
            stop=stop_after_attempt(3),
            wait=wait_random(0.05, 0.25),
            retry=retry_if_exception(_was_not_sent),
            reraise=True,
        )
        try:
            response: HttpResponse = await retrying(self._exchange, request)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise Rejected(connection_error(request, error)) from None
        return response

    async def _exchange(self, request: HttpRequest) -> HttpResponse:
        body = request.body
        async with self._session.request(
            request.method,
            request.url,
            headers=request.headers,
            data=io.BytesIO(body) if body is not None and len(body) >= _STREAMED_BODY_BYTES else body,
            allow_redirects=False,
            skip_auto_headers=("Content-Type",),  # a request without a body has none
        ) as response:
            read = (
                self._read_body
                if _is_success(response.status, redirect=request.redirect)
                else self._read_error_body
            )
            return HttpResponse(
                response.status,
                header_text(response.reason or ""),
                response.headers,
                await read(request, response),
                response.request_info.headers,
            )

    async def _read_error_body(self, _: HttpRequest, response: aiohttp.ClientResponse) -> bytes:
        """The start of the body of an error response. A body that cannot be read does not hide the status."""
        body = bytearray()
        with suppress(aiohttp.ClientError, OSError, ValueError):
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > _ERROR_BODY_BYTES:
                    response.close()
                    break
        return bytes(body[:_ERROR_BODY_BYTES])

    async def _read_body(self, request: HttpRequest, response: aiohttp.ClientResponse) -> bytes:
        limit = self._settings.http_max_response_bytes
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > limit:
                response.close()
                detail = f"its response is larger than {limit} bytes"
                raise Rejected(call_error(request, detail, title="Response too large"))
        return bytes(body)


def _is_success(status: int, *, redirect: bool) -> bool:
    return 200 <= status < (400 if redirect else 300)


def _was_not_sent(error: BaseException) -> bool:
    """Whether no connection was made, so that the request was not sent and another attempt may succeed."""
    return (
        isinstance(error, aiohttp.ClientConnectorError)
        and not isinstance(error, aiohttp.ClientConnectorSSLError)
        and not isinstance(error.os_error, AddressRefused)
    )


def _response_output(request: HttpRequest, response: HttpResponse, value: Json) -> dict[str, Json]:
    """The output for `output: response` (dsl-reference.md, "HTTP Response")."""
    return {
        "request": {"method": request.method, "uri": str(request.url), "headers": redacted(response.sent)},
        "statusCode": response.status,
        "headers": _joined_headers(response.headers),
        "content": value,
    }


def _joined_headers(headers: CIMultiDictProxy[str]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name in headers:
        joined.setdefault(header_text(name), header_text(", ".join(headers.getall(name))))
    return joined
