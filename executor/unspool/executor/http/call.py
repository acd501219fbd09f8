"""The handler of the `http` queue: sends requests, follows redirects, reads responses, all under limits."""

import asyncio
import io
from contextlib import suppress
from typing import Final

import aiohttp
from multidict import CIMultiDictProxy
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random

from unspool.definitions import errors
from unspool.definitions.json_value import Json
from unspool.eventstore.records import TaskRequest
from unspool.executor.egress import AddressRefused
from unspool.executor.http.credentials import redacted
from unspool.executor.http.failures import failed, unreachable, unsuccessful
from unspool.executor.http.redirect import MAX_HOPS, redirected
from unspool.executor.http.request import HttpRequest, prepare
from unspool.executor.http.response import HttpResponse, UnreadableContent, content, encoded, readable
from unspool.executor.outcome import Completed, Faulted, Outcome, Rejected
from unspool.executor.settings import ExecutorSettings

_LARGE: Final = 256 * 1024
"""Request bodies from this size on are written in pieces."""


_EXPLAINS: Final = 64 * 1024
"""Bytes of an error's body that are read."""


class HttpCall:
    """Does `call: http` tasks (inventory J.2)."""

    def __init__(self, session: aiohttp.ClientSession, settings: ExecutorSettings) -> None:
        self._session = session
        self._settings = settings

    async def __call__(self, request: TaskRequest) -> Outcome:
        """Makes one call; anything that goes wrong with it becomes an error the author can catch."""
        try:
            prepared = prepare(request)
            seconds = self._settings.http_timeout_seconds
            try:
                async with asyncio.timeout(seconds):
                    return Completed(await self._output(prepared))
            except TimeoutError:
                return Faulted(errors.timeout(f"{prepared.place} took longer than {seconds:g} s"))
        except Rejected as rejected:
            return Faulted(rejected.error)

    async def _output(self, request: HttpRequest) -> Json:
        response, request = await self._follow(request)
        if not _is_success(response.status, redirect=request.redirect):
            raise Rejected(unsuccessful(request, response))
        if request.output == "raw":
            return encoded(response.body)
        try:
            value = content(response.body, response.headers.get("Content-Type", ""))
        except UnreadableContent as problem:
            raise Rejected(failed(request, str(problem), title="Unreadable response")) from None
        return value if request.output == "content" else _described(request, response, value)

    async def _follow(self, request: HttpRequest) -> tuple[HttpResponse, HttpRequest]:
        """The response, and the request that got it: with `redirect`, maybe another one (inventory J9)."""
        response = await self._send(request)
        hops = 0
        while request.redirect and request.output == "content":
            following = redirected(request, response.status, response.headers.get("Location"))
            if following is None:
                break
            if hops == MAX_HOPS:
                detail = f"{request.place} redirects after {MAX_HOPS} redirects already"
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
            if not _may_try_again(error):
                raise Rejected(unreachable(request, error)) from None
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise Rejected(unreachable(request, error)) from None
        return await self._send_again(request)

    async def _send_again(self, request: HttpRequest) -> HttpResponse:
        """Tries a request that never left this machine a few times more, within about half a second."""
        retrying = AsyncRetrying(
            stop=stop_after_attempt(3),
            wait=wait_random(0.05, 0.25),
            retry=retry_if_exception(_may_try_again),
            reraise=True,
        )
        try:
            response: HttpResponse = await retrying(self._exchange, request)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise Rejected(unreachable(request, error)) from None
        return response

    async def _exchange(self, request: HttpRequest) -> HttpResponse:
        body = request.body
        async with self._session.request(
            request.method,
            request.url,
            headers=request.headers,
            data=io.BytesIO(body) if body is not None and len(body) >= _LARGE else body,
            allow_redirects=False,
            skip_auto_headers=("Content-Type",),  # without a body there is none
        ) as response:
            read = self._read if _is_success(response.status, redirect=request.redirect) else self._read_some
            return HttpResponse(
                response.status,
                readable(response.reason or ""),
                response.headers,
                await read(request, response),
                response.request_info.headers,
            )

    async def _read_some(self, _: HttpRequest, response: aiohttp.ClientResponse) -> bytes:
        """The beginning of an error's body: it may explain the status, which counts whatever that body is."""
        body = bytearray()
        with suppress(aiohttp.ClientError, OSError, ValueError):
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > _EXPLAINS:
                    response.close()
                    break
        return bytes(body[:_EXPLAINS])

    async def _read(self, request: HttpRequest, response: aiohttp.ClientResponse) -> bytes:
        limit = self._settings.http_max_response_bytes
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > limit:
                response.close()
                detail = f"its response is larger than {limit} bytes"
                raise Rejected(failed(request, detail, title="Response too large"))
        return bytes(body)


def _is_success(status: int, *, redirect: bool) -> bool:
    return 200 <= status < (400 if redirect else 300)


def _may_try_again(error: BaseException) -> bool:
    """Whether a request was provably not sent, and might be the next time."""
    return (
        isinstance(error, aiohttp.ClientConnectorError)
        and not isinstance(error, aiohttp.ClientConnectorSSLError)
        and not isinstance(error.os_error, AddressRefused)
    )


def _described(request: HttpRequest, response: HttpResponse, value: Json) -> dict[str, Json]:
    """The response as the DSL describes one (dsl-reference.md, "HTTP Response")."""
    return {
        "request": {"method": request.method, "uri": str(request.url), "headers": redacted(response.sent)},
        "statusCode": response.status,
        "headers": _joined(response.headers),
        "content": value,
    }


def _joined(headers: CIMultiDictProxy[str]) -> dict[str, str]:
    joined: dict[str, str] = {}
    for name in headers:
        joined.setdefault(readable(name), readable(", ".join(headers.getall(name))))
    return joined
