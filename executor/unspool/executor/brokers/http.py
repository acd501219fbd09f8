"""HTTP: a message is the body of a request; a subscription is a response that does not end.

The response is a stream of server-sent events (`text/event-stream`) or of lines (`application/x-ndjson`,
`application/jsonl`). Any other response is one message, and the next request asks for the next one (long
polling). HTTP has no acknowledgements: after an interruption, a stream of events continues after the last
event, if the server keeps them (`Last-Event-ID`).
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from unspool.definitions.json_value import Json
from unspool.executor.brokers.port import (
    BrokerError,
    Channel,
    CredentialsRefused,
    InboundMessage,
    MessageTooLarge,
    NotPossible,
    NotReached,
    OutboundMessage,
    Server,
    Subscriber,
    Subscription,
)
from unspool.executor.egress import AddressRefused
from unspool.executor.http.response import header_text
from unspool.executor.http.server_sent_events import ServerSentEvents
from unspool.executor.http.target import exact_url, with_parameters
from unspool.executor.outbound import Outbound

_LINES: Final = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})
_EVENTS: Final = "text/event-stream"
_ACCEPT: Final = f"{_EVENTS}, application/x-ndjson, */*;q=0.5"
_PAUSE_SECONDS: Final = 1.0
"""Time between two requests if the first had no message, or the stream ended."""

_KEPT_BODY_BYTES: Final = 64 * 1024


@asynccontextmanager
async def connected(server: Server, outbound: Outbound) -> AsyncIterator["HttpBroker"]:
    """Uses the connections of the executor's HTTP calls."""
    yield HttpBroker(server, outbound)


def url_of(server: Server, channel: Channel, scheme: str) -> URL:
    """The address of a channel: that of the server, and below it that of the channel.

    Raises:
        NotPossible: it is not an address.
    """
    path = "/".join(part.strip("/") for part in (server.path, channel.address) if part.strip("/"))
    host = f"[{server.host}]" if ":" in server.host else server.host
    try:
        url = exact_url(f"{scheme}://{host}:{server.port}/{path}")
    except ValueError:
        raise NotPossible("server and channel together are not an address") from None
    return with_parameters(url, server.credentials.query.items())


def check_status(status: int, *, success: bool) -> None:
    """Raises `BrokerError` for a response without success."""
    if status == 401:
        raise CredentialsRefused("the server does not accept the credentials", status)
    if not success:
        raise BrokerError(f"the server answered {status}", status)


@asynccontextmanager
async def client_errors() -> AsyncIterator[None]:
    """Turns errors of the HTTP client into `BrokerError`."""
    try:
        yield
    except aiohttp.ClientConnectorError as error:
        if isinstance(error.os_error, AddressRefused):
            raise AddressRefused from None
        raise NotReached(f"no connection ({type(error).__name__})") from None
    except (aiohttp.ClientError, ValueError) as error:
        raise BrokerError(f"the connection failed ({type(error).__name__})") from None


class HttpBroker:
    """A server that takes or gives messages by HTTP."""

    def __init__(self, server: Server, outbound: Outbound) -> None:
        self._server = server
        self._outbound = outbound
        self._session = outbound.session
        self._scheme = "https" if server.tls else "http"

    async def publish(self, channel: Channel, message: OutboundMessage) -> None:
        """See `Broker`. The server has the message if it answers with a status from 200 to 299."""
        method = _method(channel.options.get("method"), "POST")
        headers = CIMultiDict({**message.headers, **self._server.credentials.headers})
        headers.setdefault("Content-Type", message.content_type)
        headers.setdefault("Idempotency-Key", message.id)
        async with (
            client_errors(),
            self._session.request(
                method,
                url_of(self._server, channel, self._scheme),
                data=message.payload,
                headers=headers,
                allow_redirects=False,
            ) as response,
        ):
            await response.content.read(_KEPT_BODY_BYTES)
            check_status(response.status, success=200 <= response.status < 300)

    @asynccontextmanager
    async def subscribe(self, channel: Channel, subscriber: Subscriber) -> AsyncIterator[Subscription]:
        """See `Broker`. The first response may come with the first message, so a connection shows before that
        whether the server can be reached.
        """
        method = _method(channel.options.get("method"), "GET")
        url = url_of(self._server, channel, self._scheme)
        await self._outbound.reachable_address(self._server.host, self._server.port)
        messages = _Messages(self._session, method, url, self._server, subscriber)
        try:
            yield messages
        finally:
            await messages.close()


class _Messages:
    """Messages of one response after the other."""

    def __init__(
        self, session: aiohttp.ClientSession, method: str, url: URL, server: Server, subscriber: Subscriber
    ) -> None:
        self._session = session
        self._method = method
        self._url = url
        self._headers = dict(server.credentials.headers)
        self._max_bytes = subscriber.max_bytes
        self._last_id = ""
        self._reading = self._responses()

    async def next(self) -> InboundMessage:
        """See `Subscription`."""
        async with client_errors():
            return await anext(self._reading)

    async def acknowledge(self, messages: Sequence[InboundMessage]) -> None:
        """Nothing: HTTP has no acknowledgements."""

    async def end(self) -> None:
        """Nothing: the server keeps nothing."""

    async def close(self) -> None:
        """Ends the response that is read."""
        await self._reading.aclose()

    async def _responses(self) -> AsyncGenerator[InboundMessage, None]:
        while True:
            headers = {"Accept": _ACCEPT, **self._headers}
            if self._last_id:
                headers["Last-Event-ID"] = self._last_id
            found = False
            async with self._session.request(
                self._method, self._url, headers=headers, allow_redirects=False
            ) as response:
                check_status(response.status, success=200 <= response.status < 300)
                kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
                read = self._events if kind == _EVENTS else self._lines if kind in _LINES else self._body
                async for message in read(response):
                    found = True
                    yield message
            if not found or kind == _EVENTS or kind in _LINES:
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _events(self, response: aiohttp.ClientResponse) -> AsyncIterator[InboundMessage]:
        events = ServerSentEvents()
        async for chunk in response.content.iter_any():
            for event in events.read(chunk):
                if event.data is not None:
                    payload = event.data.encode()
                    self._check(len(payload))
                    self._last_id = events.last_id
                    yield InboundMessage(payload, headers={"event": event.type}, id=events.last_id)
            self._check(events.held)

    async def _lines(self, response: aiohttp.ClientResponse) -> AsyncIterator[InboundMessage]:
        async for line in self._split(response):
            if line.strip():
                yield InboundMessage(line, "application/json")

    async def _split(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        """The complete lines of a response."""
        rest = b""
        async for chunk in response.content.iter_any():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._check(len(line))
                yield line.removesuffix(b"\r")
            self._check(len(rest))

    async def _body(self, response: aiohttp.ClientResponse) -> AsyncIterator[InboundMessage]:
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            self._check(len(body))
        if body:
            headers = {header_text(name): header_text(value) for name, value in response.headers.items()}
            yield InboundMessage(bytes(body), response.headers.get("Content-Type", ""), headers)

    def _check(self, size: int) -> None:
        if size > self._max_bytes:
            raise MessageTooLarge(self._max_bytes)


def _method(method: Json, default: str) -> str:
    if method is None:
        return default
    if not isinstance(method, str) or not method.isalpha() or method.upper() == "CONNECT":
        raise NotPossible(f"the binding's method {method!r} cannot be used")
    return method.upper()
