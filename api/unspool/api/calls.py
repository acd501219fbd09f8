"""A call of the API: the request with what is asked of every request, read and checked."""

import asyncio
import math
import re
from dataclasses import dataclass
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from unspool.api.engine import Engine
from unspool.api.metrics import Metrics
from unspool.api.problems import Refused
from unspool.api.settings import ApiSettings
from unspool.definitions.json_value import Json
from unspool.eventstore import ids
from unspool.eventstore.clock import Clock
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import DEFAULT_TENANT, ExecutionKey, ExecutionRecord

VERSION: Final = re.compile(r"[0-9A-Za-z.+-]{1,2048}")
"""What may be a definition's version; whether it is one is for the store to know."""

_WHOLE: Final = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class Services:
    """What the API works with."""

    store: EventStore
    engine: Engine
    settings: ApiSettings
    clock: Clock
    metrics: Metrics
    closing: asyncio.Event
    """Set when the API stops: whoever waits for something answers with what there is."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request."""

    request: Request
    services: Services
    tenant: str

    @classmethod
    def of(cls, request: Request, services: Services) -> "Call":
        """Reads whom a request is for."""
        tenant = request.headers.get("x-tenant", DEFAULT_TENANT)
        if not ids.TENANT.fullmatch(tenant):
            raise Refused(400, f"X-Tenant must match {ids.TENANT.pattern}")
        return cls(request, services, tenant)

    @property
    def store(self) -> EventStore:
        """The store."""
        return self.services.store

    # -- the path

    @property
    def workflow(self) -> tuple[str, str]:
        """Namespace and name in the path; names that nothing can have are not found."""
        namespace, name = self.request.path_params["namespace"], self.request.path_params["name"]
        if not (ids.NAME.fullmatch(namespace) and ids.NAME.fullmatch(name)):
            raise Refused(404, "there is no workflow of that name")
        return namespace, name

    async def execution(self) -> ExecutionRecord:
        """The execution in the path."""
        id_ = self.request.path_params["id"]
        key = ExecutionKey(self.tenant, id_)
        record = await self.store.execution(key) if ids.EXECUTION_ID.fullmatch(id_) else None
        if record is None:
            raise Refused(404, "there is no execution of that id")
        return record

    # -- the query

    def parameter(self, name: str) -> str | None:
        """A query parameter; an empty one counts as not given."""
        return self.request.query_params.get(name) or None

    def whole(self, name: str, *, least: int, most: int) -> int | None:
        """A query parameter that is a whole number within bounds."""
        text = self.parameter(name)
        if text is None:
            return None
        if not _WHOLE.fullmatch(text) or not least <= int(text) <= most:
            raise Refused(422, f"{name} must be a whole number from {least} to {most}")
        return int(text)

    def seconds(self, name: str, *, most: int) -> float | None:
        """A query parameter that is a number of seconds from 0."""
        text = self.parameter(name)
        if text is None:
            return None
        try:
            seconds = float(text)
        except ValueError:
            seconds = math.nan
        if not 0 <= seconds <= most:
            raise Refused(422, f"{name} must be a number of seconds from 0 to {most}")
        return seconds

    # -- waiting

    async def hung_up(self) -> None:
        """Returns when the caller has gone; the body must have been read."""
        while (await self.request.receive())["type"] != "http.disconnect":
            pass


def answer(content: Json, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(orjson.dumps(content), status, headers, media_type="application/json")
