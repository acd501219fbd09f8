"""The handler of the `resource` queue: fetches the texts of external resources (inventory K7, L1, R1-R4).

Over HTTP they are fetched as by a call: the same limits of addresses, the same rules for redirects. Files are
read from two directories of the operator, and never from outside of them.
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import orjson

from unspool.definitions.errors import WorkflowError, communication, configuration
from unspool.definitions.json_value import Json
from unspool.definitions.resource import KIND
from unspool.definitions.resource_address import CATALOG, FILE, absolute, of_catalog
from unspool.definitions.resource_kind import ResourceKind
from unspool.eventstore.records import TaskRequest
from unspool.eventstore.regular_files import open_regular
from unspool.executor.authentication.policies import Authentication
from unspool.executor.documents.fetching import fetched_documents
from unspool.executor.documents.text import shown_address
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
        endpoint = request.arguments["endpoint"]
        fetch = partial(self._in_time, endpoint["uri"], partial(self._fetch_all, request))
        try:
            if not self._is_remote(endpoint["uri"]):
                return await fetch()
            # The kind in the key, because limits and what else is fetched depend on it.
            return await self._recent.get(f"{request.arguments.get(KIND, '')} {_key(endpoint)}", fetch)
        except Rejected as rejected:
            return Faulted(rejected.error)

    async def close(self) -> None:
        """Ends requests that nothing waits for any more."""
        await self._recent.close()

    def _is_remote(self, address: str) -> bool:
        return address.startswith(_HTTP) or (
            address.startswith(f"{CATALOG}:") and self._settings.catalog.startswith(_HTTP)
        )

    async def _fetch_all(self, request: TaskRequest) -> FetchedText:
        """Fetches a text; a `.proto` with what it imports, a document with those that it refers to."""
        endpoint, most = request.arguments["endpoint"], self._most_bytes(request)
        address = endpoint["uri"]

        async def fetch(one: str) -> FetchedText:
            # The credentials are for the server that the workflow names.
            own = {**endpoint, "uri": one} if _origin(one) == _origin(address) else {"uri": one}
            return await self._fetch(request._replace(arguments={**request.arguments, "endpoint": own}))

        match request.arguments.get(KIND):
            case ResourceKind.PROTO:
                return await fetched_files(address, fetch, most)
            case ResourceKind.DOCUMENT:
                return await fetched_documents(address, fetch, most)
            case _:
                return await fetch(address)

    async def _fetch(self, request: TaskRequest) -> FetchedText:
        endpoint = request.arguments["endpoint"]
        scheme, _, path = endpoint["uri"].partition(":")
        if scheme == CATALOG:
            catalog = self._settings.catalog
            if catalog.startswith(_HTTP):
                return await self._get(request, {"uri": _in_catalog(catalog, path)})
            return await self._read(request, catalog, path, "UNSPOOL_CATALOG")
        if scheme == FILE:
            return await self._read(request, self._settings.resources_dir, path, "UNSPOOL_RESOURCES_DIR")
        return await self._get(request, endpoint)

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
            detail = f"{shown_address(address)} was not fetched within {seconds:g} s"
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
            detail = f"{shown_address(address)}: this executor has no such directory ({setting} is not set)"
            raise Rejected(configuration(detail, title="No directory"))
        most = self._most_bytes(request)
        content = await asyncio.to_thread(_content, Path(directory), unquote(path), most)
        if content is None:
            raise Rejected(_missing(address))
        if len(content) > most:
            detail = f"{shown_address(address)} is larger than {most} bytes"
            raise Rejected(communication(detail, title="Response too large"))
        return FetchedText(text(content, ""))


def _in_catalog(catalog: str, path: str) -> str:
    """The address of a file of the default catalog. Raises `Rejected`."""
    try:
        return of_catalog(absolute(catalog), path)
    except ValueError:
        detail = "the host in the address of the default catalog (UNSPOOL_CATALOG) is not valid"
        raise Rejected(configuration(detail, title="No catalog")) from None


def _content(directory: Path, path: str, most: int) -> bytes | None:
    """The first bytes of a file in a directory; None if there is no such file inside it."""
    try:
        root = Path(os.path.realpath(directory))
        # `Path.resolve` fails for a loop of links. This one fails when it is opened, as an `OSError`.
        file = Path(os.path.realpath(root / path.lstrip("/")))
        if not file.is_relative_to(root):
            return None
        with open_regular(file) as opened:
            return opened.read(most + 1)
    except (OSError, ValueError):
        return None


def _missing(address: str) -> WorkflowError:
    return communication(f"there is no file {shown_address(address)}", title="Not Found", status=404)


def _key(endpoint: dict[str, Json]) -> str:
    """The endpoint with its authentication: a text is only for those who have the same credentials."""
    return orjson.dumps(endpoint, option=orjson.OPT_SORT_KEYS).decode()


def _origin(address: str) -> tuple[str, str]:
    parts = urlsplit(address)
    return parts.scheme, parts.netloc
