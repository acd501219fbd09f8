"""The handler of the `resource` queue: fetches the texts of external resources (inventory K7, L1, R1-R4).

Over HTTP they are fetched as by a call: the same limits of addresses, the same rules for redirects. Files are
read from two directories of the operator, and never from outside of them.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import orjson

from unspool.definitions.errors import WorkflowError, communication, configuration
from unspool.definitions.json_value import Json
from unspool.definitions.resource import KIND, ResourceKind
from unspool.definitions.resource_address import CATALOG, FILE, absolute, of_catalog
from unspool.eventstore.records import TaskRequest
from unspool.executor.authentication.policies import Authentication
from unspool.executor.grpc.proto_files import fetched_files
from unspool.executor.http.call import HttpCall
from unspool.executor.http.response import text
from unspool.executor.kinds import HandlerServices
from unspool.executor.masking import current
from unspool.executor.outbound import Outbound
from unspool.executor.outcome import Faulted, FetchedText, Outcome, Rejected
from unspool.executor.recent_texts import Fetch, RecentTexts
from unspool.executor.settings import ExecutorSettings
from unspool.executor.task_context import TaskContext

_ACCEPT: Final = "application/yaml, application/json, text/*;q=0.9, */*;q=0.5"
_MEDIA_TYPE: Final = re.compile(r"[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,60}")
_HTTP: Final = ("http://", "https://")


@asynccontextmanager
async def open_handler(services: HandlerServices) -> AsyncIterator["ResourceFetch"]:
    """Opens the handler."""
    resources = ResourceFetch(services.outbound, services.settings, services.authentication)
    try:
        yield resources
    finally:
        await resources.close()


class ResourceFetch:
    """Fetches one text for each request."""

    def __init__(
        self, outbound: Outbound, settings: ExecutorSettings, authentication: Authentication
    ) -> None:
        self._settings = settings
        self._http = {
            most: HttpCall(outbound, replace(settings, http_max_response_bytes=most), authentication)
            for most in (settings.resource_max_bytes, settings.document_max_bytes)
        }
        """By the size of the largest text."""
        self._recent = RecentTexts(settings.resource_cache_seconds)

    async def __call__(self, request: TaskRequest, context: TaskContext) -> Outcome:  # noqa: ARG002 - as all handlers
        """Fetches a text. Every failure becomes an error that the workflow can catch."""
        try:
            address = request.arguments["endpoint"]["uri"]
            if request.arguments.get(KIND) == ResourceKind.PROTO:
                return await self._fetch_with_imports(request, address)
            return await self._fetch(request, address)
        except Rejected as rejected:
            return Faulted(rejected.error)

    async def close(self) -> None:
        """Ends requests that nothing waits for any more."""
        await self._recent.close()

    async def _fetch_with_imports(self, request: TaskRequest, address: str) -> FetchedText:
        """Fetches a `.proto` and what it imports, all with the same credentials."""
        endpoint = request.arguments["endpoint"]

        async def fetch(one: str) -> FetchedText:
            return await self._fetch(request._replace(arguments={"endpoint": {**endpoint, "uri": one}}), one)

        files = partial(
            self._in_time, address, partial(fetched_files, address, fetch, self._settings.resource_max_bytes)
        )
        if not address.startswith(_HTTP):
            return await files()
        return await self._recent.get(f"{ResourceKind.PROTO} {_key(endpoint)}", files)

    async def _fetch(self, request: TaskRequest, address: str) -> FetchedText:
        scheme, _, path = address.partition(":")
        if scheme == CATALOG:
            catalog = self._settings.catalog
            if catalog.startswith(_HTTP):
                return await self._get_recent(request, {"uri": of_catalog(absolute(catalog), path)})
            return await self._read(request, catalog, path, "UNSPOOL_CATALOG")
        if scheme == FILE:
            return await self._read(request, self._settings.resources_dir, path, "UNSPOOL_RESOURCES_DIR")
        return await self._get_recent(request, request.arguments["endpoint"])

    async def _get_recent(self, request: TaskRequest, endpoint: dict[str, Json]) -> FetchedText:
        get = partial(self._in_time, endpoint["uri"], partial(self._get, request, endpoint))
        # The size in the key, so that a larger text does not reach a request with a smaller limit.
        return await self._recent.get(f"{self._most_bytes(request)} {_key(endpoint)}", get)

    def _most_bytes(self, request: TaskRequest) -> int:
        if request.arguments.get(KIND) == ResourceKind.DOCUMENT:
            return self._settings.document_max_bytes
        return self._settings.resource_max_bytes

    async def _in_time(self, address: str, fetch: Fetch) -> FetchedText:
        seconds = self._settings.resource_timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                return await fetch()
        except TimeoutError:
            detail = f"{_shown(address)} was not fetched within {seconds:g} s"
            raise Rejected(communication(detail, title="Timed out")) from None

    async def _get(self, request: TaskRequest, endpoint: dict[str, Json]) -> FetchedText:
        arguments: dict[str, Json] = {
            "method": "GET",
            "endpoint": endpoint,
            "redirect": True,
            "headers": {"Accept": _ACCEPT},
        }
        response = await self._http[self._most_bytes(request)].get(request._replace(arguments=arguments))
        content_type = response.headers.get("Content-Type", "")
        media_type = content_type.partition(";")[0].strip().lower()
        if not _MEDIA_TYPE.fullmatch(media_type):
            media_type = ""
        fetched = await asyncio.to_thread(text, response.body, content_type)
        known = current.get()
        if known is not None:  # before it is kept: the next task that gets it does not know the token
            fetched = known.without_learned(fetched)
        return FetchedText(fetched, media_type)

    async def _read(self, request: TaskRequest, directory: str, path: str, setting: str) -> FetchedText:
        address = request.arguments["endpoint"]["uri"]
        if not directory:
            detail = f"{_shown(address)}: this executor has no such directory ({setting} is not set)"
            raise Rejected(configuration(detail, title="No directory"))
        most = self._most_bytes(request)
        content = await asyncio.to_thread(_content, Path(directory), unquote(path), most)
        if content is None:
            raise Rejected(_missing(address))
        if len(content) > most:
            detail = f"{_shown(address)} is larger than {most} bytes"
            raise Rejected(communication(detail, title="Response too large"))
        return FetchedText(text(content, ""))


def _content(directory: Path, path: str, most: int) -> bytes | None:
    """The first bytes of a file in a directory; None if there is no such file inside it."""
    try:
        root = directory.resolve()
        file = (root / path.lstrip("/")).resolve()
        if not (file.is_relative_to(root) and file.is_file()):
            return None
        with file.open("rb") as opened:
            return opened.read(most + 1)
    except (OSError, ValueError):
        return None


def _missing(address: str) -> WorkflowError:
    return communication(f"there is no file {_shown(address)}", title="Not Found", status=404)


def _key(endpoint: dict[str, Json]) -> str:
    """The endpoint with its authentication: a text is only for those who have the same credentials."""
    return orjson.dumps(endpoint, option=orjson.OPT_SORT_KEYS).decode()


def _shown(address: str) -> str:
    """An address without its query, which may contain keys."""
    return address.partition("?")[0]
