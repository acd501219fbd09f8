"""A client of the HTTP API that Docker and Podman have in common (Docker Engine API)."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import orjson

from unspool.definitions.json_value import Json
from unspool.executor.runs.container.address import EngineAddress

_MAX_ANSWER: Final = 4 * 1024 * 1024
_MAX_MESSAGE: Final = 500

_MALFORMED: Final = "its answer is not one of a container engine"

_ANSWER_SECONDS: Final = 60.0
"""The longest time for an answer, except for those that wait for a container or a registry."""


class EngineError(Exception):
    """The engine answered with an error."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message[:_MAX_MESSAGE])
        self.status = status


class EngineUnreachable(Exception):
    """The engine did not answer, or not as its API says."""


class Engine:
    """A connection to an engine."""

    def __init__(self, address: EngineAddress, session: aiohttp.ClientSession) -> None:
        self.address = address
        self._session = session

    async def create(self, name: str, body: Mapping[str, Json]) -> str:
        """Creates a container; returns its id.

        Raises, as all methods do:
            EngineError: the engine refuses.
            EngineUnreachable: there is no answer, or one that is not of its API.
        """
        created = await self._json("POST", "/containers/create", {"name": name}, body)
        return str(_member(created, "Id"))

    async def start(self, container: str) -> None:
        """Starts a container."""
        await self._json("POST", f"/containers/{container}/start")

    async def wait(self, container: str) -> int:
        """Waits until a container has ended; returns its exit code."""
        ended = await self._json("POST", f"/containers/{container}/wait", seconds=None)
        code = _member(ended, "StatusCode")
        if not isinstance(code, int):
            raise EngineUnreachable(_MALFORMED)
        return code

    async def stop(self, container: str, grace_seconds: float) -> None:
        """Sends SIGTERM to a container and, if it has not ended after the grace, SIGKILL."""
        query = {"t": str(max(round(grace_seconds), 0))}
        await self._json(
            "POST", f"/containers/{container}/stop", query, seconds=_ANSWER_SECONDS + grace_seconds
        )

    async def kill(self, container: str) -> None:
        """Sends SIGKILL to a container."""
        await self._json("POST", f"/containers/{container}/kill")

    async def remove(self, container: str) -> None:
        """Kills and removes a container with its anonymous volumes."""
        await self._json("DELETE", f"/containers/{container}", {"force": "true", "v": "true"})

    async def inspect(self, container: str) -> dict[str, Any]:
        """Returns what the engine knows of a container."""
        return _object(await self._json("GET", f"/containers/{container}/json"))

    async def labelled(self, label: str) -> list[dict[str, Any]]:
        """Returns all containers with a label, those that have ended too."""
        filters = json.dumps({"label": [label]})
        found = await self._json("GET", "/containers/json", {"all": "true", "filters": filters})
        if not isinstance(found, list):
            raise EngineUnreachable(_MALFORMED)
        for each in found:
            _member(each, "Id")
        return found

    async def image(self, image: str) -> dict[str, Any]:
        """Returns what the engine knows of an image."""
        return _object(await self._json("GET", f"/images/{image}/json"))

    async def pull(self, image: str, tag: str, seconds: float) -> None:
        """Fetches an image from its registry. Raises `TimeoutError` after so many seconds."""
        query = {"fromImage": image, **({"tag": tag} if tag else {})}
        async with asyncio.timeout(seconds), self._request("POST", "/images/create", query, None) as response:
            async for line in response.content:
                if error := _error_in(line):
                    raise EngineError(500, error)

    async def _json(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Json] | None = None,
        seconds: float | None = _ANSWER_SECONDS,
    ) -> Any:
        try:
            async with asyncio.timeout(seconds), self._request(method, path, query or {}, body) as response:
                answer = await response.content.read(_MAX_ANSWER)
                while answer and (more := await response.content.read(_MAX_ANSWER)):
                    answer += more
                    if len(answer) > _MAX_ANSWER:
                        raise EngineUnreachable("its answer is too large")
        except TimeoutError:
            raise EngineUnreachable("it did not answer in time") from None
        try:
            return orjson.loads(answer) if answer.strip() else None
        except orjson.JSONDecodeError:
            raise EngineUnreachable(_MALFORMED) from None

    @asynccontextmanager
    async def _request(
        self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Json] | None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Sends a request; the response is a success. A status 304 means that nothing was to be done."""
        try:
            async with self._session.request(method, path, params=query, json=body) as response:
                if response.status >= 400:
                    raise EngineError(response.status, _message(await response.content.read(_MAX_ANSWER)))
                yield response
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise
            raise EngineUnreachable(str(error) or type(error).__name__) from None


@asynccontextmanager
async def opened_engine(address: EngineAddress) -> AsyncIterator[Engine]:
    """Opens connections to an engine as they are needed, and closes them at the end."""
    connector: aiohttp.BaseConnector
    if address.path is not None:
        connector = aiohttp.UnixConnector(address.path, limit=0)
        base = "http://engine"
    else:
        connector = aiohttp.TCPConnector(limit=0)
        base = f"http://{address.authority}"
    timeout = aiohttp.ClientTimeout(total=None, connect=10, sock_connect=10)
    async with aiohttp.ClientSession(base, connector=connector, timeout=timeout) as session:
        yield Engine(address, session)


def _object(answer: Any) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise EngineUnreachable(_MALFORMED)
    return answer


def _member(answer: Any, name: str) -> Any:
    found = _object(answer).get(name)
    if found is None:
        raise EngineUnreachable(_MALFORMED)
    return found


def _message(answer: bytes) -> str:
    try:
        parsed = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return answer.decode(errors="replace").strip()
    found = parsed.get("message") if isinstance(parsed, dict) else None
    return str(found or "no message")


def _error_in(line: bytes) -> str | None:
    try:
        parsed = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    found = parsed.get("error") if isinstance(parsed, dict) else None
    return str(found) if found else None
