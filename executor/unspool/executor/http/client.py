"""Sends single requests: with credentials, within limits, again if they surely did not arrive."""

import io
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Final

import aiohttp
from multidict import CIMultiDict
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random

from unspool.eventstore.monitoring.trace_context import trace_context
from unspool.executor.authentication.credentials import Sending
from unspool.executor.egress import AddressRefused
from unspool.executor.http.failures import call_error, connection_error
from unspool.executor.http.request import HttpRequest
from unspool.executor.http.response import HttpResponse, header_text
from unspool.executor.outbound import Outbound
from unspool.executor.outcome import Rejected

MAX_CHALLENGES: Final = 2
"""Responses with status 401 to which a request is sent again with other credentials."""

CONNECTION_ERRORS: Final = (aiohttp.ClientError, TimeoutError, OSError, ValueError)
"""Exceptions of a request that got no response, or one that breaks off."""

_STREAMED_BODY_BYTES: Final = 256 * 1024
"""Request bodies of this size or more are written in pieces."""

_ERROR_BODY_BYTES: Final = 64 * 1024
"""How much of the body of an error response is read."""


class HttpClient:
    """Sends requests."""

    def __init__(self, outbound: Outbound, max_response_bytes: int) -> None:
        self._outbound = outbound
        self._max_response_bytes = max_response_bytes

    async def send(self, request: HttpRequest) -> HttpResponse:
        """The response. A response with status 401 is the last one if other credentials did not help.

        Raises:
            Rejected: there is no response, or it is too large; or no token.
        """
        try:
            async with self.opened(request) as response:
                return await self.whole(request, response)
        except CONNECTION_ERRORS as error:
            raise Rejected(connection_error(request, error)) from None

    @asynccontextmanager
    async def opened(self, request: HttpRequest) -> AsyncIterator[aiohttp.ClientResponse]:
        """The response, whose body is not read yet. It is open in the context.

        Raises:
            Rejected: there is no response, or no token.
        """
        credentials = request.credentials
        sending = Sending(request.method, request.url, request.body or b"")
        async with AsyncExitStack() as stack:
            response = await self._open(stack, request, await credentials.header(sending))
            for _ in range(MAX_CHALLENGES):
                if response.status != 401:
                    break
                challenges = response.headers.getall("WWW-Authenticate", [])
                renewed = await credentials.renewed(sending, challenges)
                if renewed is None:
                    break
                await _read_error_body(response)
                await stack.aclose()
                response = await self._open(stack, request, renewed)
            yield response

    async def whole(self, request: HttpRequest, response: aiohttp.ClientResponse) -> HttpResponse:
        """A response with its body, of an error only the start.

        Raises:
            Rejected: it is too large.
            aiohttp.ClientError, OSError, ValueError: it cannot be read.
        """
        if is_success(response.status, redirect=request.redirect):
            body = await self._read_body(request, response)
        else:
            body = await _read_error_body(response)
        return HttpResponse(
            response.status,
            header_text(response.reason or ""),
            response.headers,
            body,
            response.request_info.headers,
        )

    async def _open(
        self, stack: AsyncExitStack, request: HttpRequest, authorization: str | None
    ) -> aiohttp.ClientResponse:
        """The response, which is open in the context of the stack. For limits all attempts are one call."""
        try:
            async with AsyncExitStack() as call:
                answered = await call.enter_async_context(
                    self._outbound.call(request.url.host or "", request.url.port or 0)
                )
                response = await self._attempts(call, request, authorization)
                answered()
                stack.push_async_exit(call.pop_all())
        except CONNECTION_ERRORS as error:
            raise Rejected(connection_error(request, error)) from None
        return response

    async def _attempts(
        self, stack: AsyncExitStack, request: HttpRequest, authorization: str | None
    ) -> aiohttp.ClientResponse:
        """Sends a request; up to two more times, within about half a second, if no connection was made."""
        try:
            return await self._enter(stack, request, authorization)
        except aiohttp.ClientConnectorError as error:
            if not _was_not_sent(error):
                raise
        retrying = AsyncRetrying(
            stop=stop_after_attempt(3),
            wait=wait_random(0.05, 0.25),
            retry=retry_if_exception(_was_not_sent),
            reraise=True,
        )
        response: aiohttp.ClientResponse = await retrying(self._enter, stack, request, authorization)
        return response

    async def _enter(
        self, stack: AsyncExitStack, request: HttpRequest, authorization: str | None
    ) -> aiohttp.ClientResponse:
        body, headers = request.body, _with_trace_context(request.headers)
        if authorization is not None:
            headers = headers.copy()
            headers["Authorization"] = authorization
        return await stack.enter_async_context(
            self._outbound.session.request(
                request.method,
                request.url,
                headers=headers,
                data=io.BytesIO(body) if body is not None and len(body) >= _STREAMED_BODY_BYTES else body,
                allow_redirects=False,
                skip_auto_headers=("Content-Type",),  # a request without a body has none
            )
        )

    async def _read_body(self, request: HttpRequest, response: aiohttp.ClientResponse) -> bytes:
        limit = self._max_response_bytes
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > limit:
                response.close()
                detail = f"its response is larger than {limit} bytes"
                raise Rejected(call_error(request, detail, title="Response too large"))
        return bytes(body)


async def _read_error_body(response: aiohttp.ClientResponse) -> bytes:
    """The start of the body of an error response. A body that cannot be read does not hide the status."""
    body = bytearray()
    with suppress(aiohttp.ClientError, OSError, ValueError):
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > _ERROR_BODY_BYTES:
                response.close()
                break
    return bytes(body[:_ERROR_BODY_BYTES])


def _with_trace_context(headers: CIMultiDict[str]) -> CIMultiDict[str]:
    """The headers with the trace context, unless the author has written one."""
    context = trace_context.get()
    if not context or "traceparent" in headers:
        return headers
    return CIMultiDict([*headers.items(), *context.items()])


def is_success(status: int, *, redirect: bool) -> bool:
    """Whether a status is no error (dsl-reference.md, "HTTP Call")."""
    return 200 <= status < (400 if redirect else 300)


def _was_not_sent(error: BaseException) -> bool:
    """Whether no connection was made, so that the request was not sent and another attempt may succeed."""
    return (
        isinstance(error, aiohttp.ClientConnectorError)
        and not isinstance(error, aiohttp.ClientConnectorSSLError)
        and not isinstance(error.os_error, AddressRefused)
    )
