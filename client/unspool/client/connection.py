"""Requests to the API: sent again where that is safe, with errors as exceptions."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Final, NamedTuple
from urllib.parse import quote

import aiohttp
import orjson
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    wait_random_exponential,
)
from yarl import URL

from unspool.client.errors import NoAnswer, Problem, TimedOut, problem
from unspool.client.records import Json
from unspool.client.server_sent_events import Frame, SseParser

MAX_RETRY_AFTER_SECONDS: Final = 30.0
"""If the API asks for a longer pause, its answer is raised instead."""

_KEEP_ALIVE_SECONDS: Final = 2.0
"""Shorter than that of the API, so that a request seldom meets a connection that the API is closing."""

_SILENCE_SECONDS: Final = 60.0
"""A live stream without a byte for so long is dead: the API sends a comment every 15 seconds."""

_BACKOFF: Final = wait_random_exponential(multiplier=0.25, max=5)

Parameters = Mapping[str, str | int | float | Sequence[str] | None]


class Request(NamedTuple):
    """A request. `safe`: the API does the same if it gets it twice as if it gets it once."""

    method: str
    path: str
    parameters: Parameters = MappingProxyType({})
    body: bytes | None = None
    content_type: str = "application/json"
    accept: str = "application/json"
    safe: bool = False
    wait: float = 0.0
    """Seconds for which the API may wait before it answers."""


class Answer(NamedTuple):
    """An answer of the API with JSON; None if it has no body."""

    status: int
    json: Json


def path_of(*segments: str) -> str:
    """Returns the path below `/api/v1` of these segments.

    Raises:
        ValueError: a segment would lead to another place.
    """
    # The server decodes a path before it looks for its resource, so an encoded slash also separates segments.
    if bad := [segment for segment in segments if segment in {"", ".", ".."} or "/" in segment]:
        raise ValueError(f"{bad[0]!r} is not an id or a name")
    return "/" + "/".join(quote(segment, safe="") for segment in segments)


def _check_address(url: str) -> None:
    """Raises `ValueError` if it is not an address of HTTP, or if no host can have such a name."""
    if not url.lower().startswith(("http://", "https://")):
        raise ValueError("the address of the API must begin with http:// or https://")
    try:
        (URL(url).raw_host or "").encode("idna")
    except (ValueError, IndexError):  # yarl raises both
        raise ValueError("the host in the address of the API is not valid") from None


class Connection:
    """An API, with who calls it. Open connections are kept for the next requests."""

    def __init__(
        self, url: str, *, token: str | None, tenant: str | None, timeout: float, attempts: int
    ) -> None:
        _check_address(url)
        self._base = url.rstrip("/") + "/api/v1"
        self._headers = _headers(token, tenant)
        self._timeout = timeout
        self._attempts = attempts
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Closes the connections."""
        if self._session is not None:
            await self._session.close()

    async def json(self, request: Request) -> Json:
        """Sends a request; returns the JSON of the answer, None if it has no body. Raises as `answer`."""
        return (await self.answer(request)).json

    async def answer(self, request: Request) -> Answer:
        """Sends a request; returns the answer.

        Raises:
            NoAnswer: the API cannot be reached, or did not answer in time.
            Problem: the API answered with an error.
        """
        status, content = await self._content(request)
        try:
            return Answer(status, orjson.loads(content) if content else None)
        except orjson.JSONDecodeError:
            raise problem(status, {"detail": "the answer is not JSON; is this the API of Unspool?"}) from None

    async def text(self, request: Request) -> str:
        """Sends a request; returns the text of the answer. Raises as `json`."""
        return (await self._content(request))[1].decode()

    async def live(
        self, path: str, parameters: Parameters, last_event_id: str | None
    ) -> AsyncGenerator[Frame, None] | None:
        """Opens a stream of Server-Sent Events, after the last one that the caller has.

        Returns None if there are no more.

        The stream ends when the API ends it, or when the connection breaks: open it again to resume.

        Raises:
            NoAnswer: the API cannot be reached.
            Problem: the API answered with an error.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=self._timeout, sock_read=_SILENCE_SECONDS)
        headers = {} if last_event_id is None else {"Last-Event-ID": last_event_id}
        request = Request("GET", path, parameters, accept="text/event-stream", safe=True)
        response = await self._repeated(request, timeout, headers)
        if response.status == 204:
            response.release()
            return None
        return _frames(response)

    async def _content(self, request: Request) -> tuple[int, bytes]:
        timeout = aiohttp.ClientTimeout(total=self._timeout + request.wait)
        response = await self._repeated(request, timeout, {})
        return response.status, await response.read()  # `_send` has read it

    async def _repeated(
        self, request: Request, limits: aiohttp.ClientTimeout, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        attempts = AsyncRetrying(
            stop=stop_after_attempt(self._attempts),
            wait=_pause,
            retry=retry_if_exception(lambda error: _may_repeat(error, safe=request.safe)),
            reraise=True,
        )
        return await attempts(self._send, request, limits, headers)

    async def _send(
        self, request: Request, limits: aiohttp.ClientTimeout, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        """Sends once. The body of the answer is read, except that of a live stream."""
        if self._session is None:
            connector = aiohttp.TCPConnector(keepalive_timeout=_KEEP_ALIVE_SECONDS)
            self._session = aiohttp.ClientSession(connector=connector)
        own = {"Content-Type": request.content_type} if request.body is not None else {}
        try:
            response = await self._session.request(
                request.method,
                self._base + request.path,
                params=_query(request.parameters),
                data=request.body,
                headers={"Accept": request.accept, **self._headers, **own, **headers},
                timeout=limits,
                allow_redirects=False,  # the token is for this address only
            )
            if response.content_type != "text/event-stream":
                await response.read()
        except TimeoutError as error:
            raise TimedOut("the API did not answer in time") from error
        except aiohttp.ClientError as error:
            sent = not isinstance(error, aiohttp.ClientConnectorError)
            raise NoAnswer(f"the API cannot be reached: {error}", sent=sent) from error
        if response.status >= 300:
            raise await _problem_of(response)
        return response


async def _frames(response: aiohttp.ClientResponse) -> AsyncGenerator[Frame, None]:
    parser = SseParser()
    try:
        async for chunk in response.content.iter_any():
            for frame in parser.feed(chunk):
                if frame.is_error:
                    document = orjson.loads(frame.data)
                    raise problem(document["status"], document)
                yield frame
    except (aiohttp.ClientError, TimeoutError):
        return  # the caller connects again and resumes
    finally:
        response.close()


def _headers(token: str | None, tenant: str | None) -> dict[str, str]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return headers if tenant is None else {**headers, "X-Tenant": tenant}


def _query(parameters: Parameters) -> list[tuple[str, str]]:
    given = [(name, value) for name, value in parameters.items() if value is not None]
    lists = [(name, [str(value)] if isinstance(value, str | int | float) else value) for name, value in given]
    return [(name, value) for name, values in lists for value in values]


async def _problem_of(response: aiohttp.ClientResponse) -> Problem:
    document: Json = None
    if response.content_type.endswith("json"):
        with suppress(orjson.JSONDecodeError):
            document = orjson.loads(await response.read())
    if not isinstance(document, dict):
        document = {"title": response.reason}
    return problem(response.status, document, _seconds(response.headers.get("Retry-After", "")))


def _seconds(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdigit() else None


def _may_repeat(error: BaseException, *, safe: bool) -> bool:
    """Whether a request that ended with this error can be sent again.

    A request that is not safe is sent again only if the API has not begun with it: 429 comes before all else.
    """
    if isinstance(error, Problem):
        known = error.status == 429 or (safe and error.status == 503)
        return known and (error.retry_after or 0.0) <= MAX_RETRY_AFTER_SECONDS
    return isinstance(error, NoAnswer) and not isinstance(error, TimedOut) and (safe or not error.sent)


def _pause(state: RetryCallState) -> float:
    """Seconds before the next attempt: what the API asks for, and a random time more."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, Problem) else None
    return (asked or 0.0) + _BACKOFF(state)
