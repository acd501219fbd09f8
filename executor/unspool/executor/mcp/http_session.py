"""A session of MCP over HTTP ("Streamable HTTP"), in the checked HTTP session of the executor.

Each message to the server is a request. The response is JSON, or a stream of events that ends with the
answer. If a stream breaks off, it continues after its last event. A server can also send messages on a stream
of their own, which calls do not need.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Final

import aiohttp
from mcp.shared.message import ClientMessageMetadata, SessionMessage
from mcp_types import JSONRPCError, JSONRPCMessage, JSONRPCRequest, JSONRPCResponse, jsonrpc_message_adapter
from multidict import CIMultiDict
from pydantic import ValidationError

from unspool.definitions.errors import WorkflowError, communication
from unspool.executor.http.client import CONNECTION_ERRORS, HttpClient, is_success
from unspool.executor.http.failures import call_error, connection_error, status_error
from unspool.executor.http.redirect import MAX_HOPS, redirected
from unspool.executor.http.request import HttpRequest
from unspool.executor.http.server_sent_events import ServerSentEvents
from unspool.executor.outcome import Rejected

_SESSION: Final = "Mcp-Session-Id"
_VERSION: Final = "MCP-Protocol-Version"
_JSON: Final = "application/json"
_EVENTS: Final = "text/event-stream"

_REDIRECTS: Final = frozenset({307, 308})
"""Redirects that keep the method and the body."""

_MOST_RESUMPTIONS: Final = 3
"""How often the stream of one answer is continued."""

_PAUSE_SECONDS: Final = 1.0
"""Before a stream is continued, if the server does not say how long."""

_LONGEST_PAUSE_SECONDS: Final = 10.0

_END_SECONDS: Final = 2.0
"""How long the end of a session may take."""

_ANSWERS: Final = (JSONRPCResponse, JSONRPCError)


class HttpSession:
    """Sends messages to one server, and receives the answers."""

    def __init__(self, client: HttpClient, pattern: HttpRequest, most_bytes: int) -> None:
        """Takes the limits of a session.

        Args:
            client: sends the requests.
            pattern: a POST request with the address, the headers of the author, and the credentials.
            most_bytes: of the responses of the session.
        """
        self.pattern = pattern
        self._client = client
        self._most_bytes = most_bytes
        self._bytes = 0
        self._id = ""
        self._version = ""

    async def send(self, message: SessionMessage) -> AsyncGenerator[JSONRPCMessage, None]:
        """Sends a message. Yields what the server sends until it has answered.

        Raises:
            Rejected: there is no answer that can be read.
        """
        request = self._request(message)
        sent = message.message
        try:
            async with self._opened(request) as response:
                if not is_success(response.status, redirect=False):
                    yield await self._refusal(request, sent, response)
                    return
                self._id = response.headers.get(_SESSION, self._id)
                if not isinstance(sent, JSONRPCRequest):
                    return
                if response.content_type == _JSON:
                    yield _message(request, sent, await self._whole(request, response))
                    return
                events = _events_of(request, response)
                async for received in self._received(request, sent, response, events):
                    yield received
                    if isinstance(received, _ANSWERS):
                        return
            async for received in self._resumed(request, sent, events):
                yield received
        except CONNECTION_ERRORS as error:
            raise Rejected(connection_error(request, error)) from None

    @asynccontextmanager
    async def _opened(self, request: HttpRequest) -> AsyncIterator[aiohttp.ClientResponse]:
        """The response to a message, after redirects to other paths of the same server."""
        for _ in range(MAX_HOPS):
            async with self._client.opened(request) as response:
                if response.status not in _REDIRECTS:
                    yield response
                    return
                following = redirected(request, response.status, response.headers.get("Location"))
            if following is None or following.url.origin() != request.url.origin():
                detail = f"{request.label} redirects to another server"
                raise Rejected(communication(detail, title="Redirect refused", status=response.status))
            self.pattern = replace(self.pattern, url=following.url)
            request = following
        detail = f"{request.label} redirects again after {MAX_HOPS} redirects"
        raise Rejected(communication(detail, title="Too many redirects"))

    async def end(self) -> None:
        """Ends the session on the server, if it has one. A failure does not matter."""
        if self._id:
            request = replace(self.pattern, method="DELETE", headers=self._headers(), body=None)
            with suppress(Rejected, *CONNECTION_ERRORS):
                async with asyncio.timeout(_END_SECONDS), self._client.opened(request):
                    pass

    def _request(self, message: SessionMessage) -> HttpRequest:
        metadata = message.metadata
        added = (metadata.headers or {}) if isinstance(metadata, ClientMessageMetadata) else {}
        self._version = added.get(_VERSION.lower(), self._version)
        headers = self._headers()
        headers.update(added)
        headers["Accept"] = f"{_JSON}, {_EVENTS}"
        headers["Content-Type"] = _JSON
        body = message.message.model_dump_json(by_alias=True, exclude_unset=True).encode()
        return replace(self.pattern, headers=headers, body=body)

    def _headers(self) -> CIMultiDict[str]:
        headers = self.pattern.headers.copy()
        if self._version:
            headers[_VERSION] = self._version
        if self._id:
            headers[_SESSION] = self._id
        return headers

    async def _refusal(
        self, request: HttpRequest, sent: JSONRPCMessage, response: aiohttp.ClientResponse
    ) -> JSONRPCMessage:
        """The answer in a response without success. Raises `Rejected` if it has none."""
        whole = await self._client.whole(request, response)
        if isinstance(sent, JSONRPCRequest) and response.content_type == _JSON:
            with suppress(ValidationError):
                received = jsonrpc_message_adapter.validate_json(whole.body, by_name=False)
                if isinstance(received, JSONRPCError):
                    received.id = sent.id  # it may be null, if the server did not read the request
                    return received
        raise Rejected(status_error(request, whole))

    async def _resumed(
        self, request: HttpRequest, sent: JSONRPCRequest, events: ServerSentEvents
    ) -> AsyncIterator[JSONRPCMessage]:
        """Continues a stream of events that has ended without the answer."""
        for _ in range(_MOST_RESUMPTIONS):
            if not events.last_id:
                break
            pause = _PAUSE_SECONDS if events.retry_seconds is None else events.retry_seconds
            await asyncio.sleep(min(pause, _LONGEST_PAUSE_SECONDS))
            headers = self._headers()
            headers.update({"Accept": _EVENTS, "Last-Event-ID": events.last_id})
            following = replace(request, method="GET", headers=headers, body=None)
            async with self._client.opened(following) as response:
                if not is_success(response.status, redirect=False):
                    raise Rejected(status_error(following, await self._client.whole(following, response)))
                events = _events_of(following, response, events.last_id)
                async for received in self._received(following, sent, response, events):
                    yield received
                    if isinstance(received, _ANSWERS):
                        return
        detail = "its stream of events ended without an answer"
        raise Rejected(call_error(request, detail))

    async def _received(
        self,
        request: HttpRequest,
        sent: JSONRPCRequest,
        response: aiohttp.ClientResponse,
        events: ServerSentEvents,
    ) -> AsyncIterator[JSONRPCMessage]:
        """The messages in a stream of events, until it ends or breaks off."""
        try:
            async for chunk in response.content.iter_any():
                self._count(request, len(chunk))
                for event in events.read(chunk):
                    if event.data and event.type == "message":
                        yield _message(request, sent, event.data)
        except CONNECTION_ERRORS:
            if not events.last_id:
                raise

    async def _whole(self, request: HttpRequest, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_any():
            self._count(request, len(chunk))
            body += chunk
        return bytes(body)

    def _count(self, request: HttpRequest, size: int) -> None:
        self._bytes += size
        if self._bytes > self._most_bytes:
            detail = f"its responses are larger than {self._most_bytes} bytes"
            raise Rejected(call_error(request, detail, title="Response too large"))


def _events_of(request: HttpRequest, response: aiohttp.ClientResponse, last_id: str = "") -> ServerSentEvents:
    """The reader of the events of a response. Raises `Rejected` if it is another type of content."""
    if response.content_type != _EVENTS:
        raise Rejected(_unreadable(request, "its response is neither JSON nor a stream of events"))
    return ServerSentEvents(last_id)


def _message(request: HttpRequest, sent: JSONRPCRequest, text: bytes | str) -> JSONRPCMessage:
    """A message of the server. Raises `Rejected` if it is none, or the answer to another request."""
    try:
        received = jsonrpc_message_adapter.validate_json(text, by_name=False)
    except ValidationError:
        raise Rejected(_unreadable(request, "its response is not a message of JSON-RPC")) from None
    if isinstance(received, JSONRPCError) and received.id is None:
        received.id = sent.id
    if isinstance(received, _ANSWERS) and str(received.id) != str(sent.id):
        raise Rejected(_unreadable(request, "its response is the answer to another request"))
    return received


def _unreadable(request: HttpRequest, cause: str) -> WorkflowError:
    return call_error(request, cause, title="Unreadable response")
