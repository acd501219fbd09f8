"""A call of the API: the request, with the values that every handler needs, read and checked."""

import asyncio
import math
import re
from dataclasses import dataclass
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from unspool.api.authentication.authenticator import Authenticator
from unspool.api.authentication.caller import Caller
from unspool.api.engine import Engine
from unspool.api.folded_histories import FoldedHistories
from unspool.api.hooks.configuration import Hooks
from unspool.api.masked_store import MaskedStore
from unspool.api.metrics import ApiMetrics
from unspool.api.problems import HttpProblem
from unspool.api.settings import ApiSettings
from unspool.api.transports import TransportReader
from unspool.definitions.json_value import Json
from unspool.diagram.layout.geometry import Layout
from unspool.eventstore import ids
from unspool.eventstore.actors import MAX_REASON, Actor
from unspool.eventstore.clock import Clock
from unspool.eventstore.monitoring.monitor import Monitor
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import DEFAULT_TENANT, ExecutionKey, ExecutionRecord
from unspool.worker.definition_cache import DefinitionCache
from unspool.worker.idempotency_keys import IdempotencyKeys

VERSION: Final = re.compile(r"[0-9A-Za-z.+-]{1,2048}")
"""The form of a version. Only the store knows which versions exist."""

_INTEGER: Final = re.compile(r"[0-9]{1,15}")
_SECONDS: Final = re.compile(r"[0-9]{1,15}(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?")


@dataclass(frozen=True, slots=True)
class Services:
    """What the API works with."""

    store: MaskedStore
    """The store as views show it: values that definitions mask are masked."""
    unmasked: EventStore
    """The store with the real values, to compare them."""
    engine: Engine
    settings: ApiSettings
    clock: Clock
    monitor: Monitor
    """Metrics and health of all services of this process."""
    requests: ApiMetrics
    keys: IdempotencyKeys
    hooks: Hooks
    transports: TransportReader
    authenticator: Authenticator
    layouts: DefinitionCache[Layout]
    folded: FoldedHistories
    closing: asyncio.Event
    """Set when the API stops. Handlers that wait then answer with the current state."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request."""

    request: Request
    services: Services
    tenant: str
    caller: Caller
    """Who sends the request."""

    @classmethod
    def of(cls, request: Request, services: Services, caller: Caller) -> "Call":
        """Chooses the tenant: the caller's, or for a caller of all tenants the one in `X-Tenant`.

        Raises:
            HttpProblem: 400, if `X-Tenant` is malformed; 403, if it is not the caller's.
        """
        tenant = request.headers.get("x-tenant", caller.tenant or DEFAULT_TENANT)
        if not ids.TENANT.fullmatch(tenant):
            raise HttpProblem(400, f"X-Tenant must match {ids.TENANT.pattern}")
        if caller.tenant not in (None, tenant):
            raise HttpProblem(403, f"this credential belongs to the tenant {caller.tenant}; omit X-Tenant")
        return cls(request, services, tenant, caller)

    @property
    def store(self) -> MaskedStore:
        """The store."""
        return self.services.store

    # -- the path

    @property
    def workflow(self) -> tuple[str, str]:
        """Namespace and name in the path.

        Raises:
            HttpProblem: 404, if they cannot be names.
        """
        namespace, name = self.request.path_params["namespace"], self.request.path_params["name"]
        if not (ids.NAME.fullmatch(namespace) and ids.NAME.fullmatch(name)):
            raise HttpProblem(404, "there is no workflow with that name")
        return namespace, name

    async def execution(self) -> ExecutionRecord:
        """Reads the execution that the path names.

        Raises:
            HttpProblem: 404, if there is none.
        """
        id_ = self.request.path_params["id"]
        key = ExecutionKey(self.tenant, id_)
        record = await self.store.execution(key) if ids.EXECUTION_ID.fullmatch(id_) else None
        if record is None:
            raise HttpProblem(404, "there is no execution with that id")
        return record

    # -- the query

    def parameter(self, name: str) -> str | None:
        """Returns a query parameter; None if it is absent or empty."""
        return self.request.query_params.get(name) or None

    def parameters(self, name: str) -> list[str]:
        """Returns all values of a query parameter, without empty ones."""
        return [text for text in self.request.query_params.getlist(name) if text]

    def integer(self, name: str, *, minimum: int, maximum: int) -> int | None:
        """Returns a query parameter that must be an integer within bounds; None if it is absent.

        Raises:
            HttpProblem: 422, if it is not.
        """
        text = self.request.query_params.get(name)
        if text is None:
            return None
        if not _INTEGER.fullmatch(text) or not minimum <= int(text) <= maximum:
            raise HttpProblem(422, f"{name} must be a whole number from {minimum} to {maximum}")
        return int(text)

    def seconds(self, name: str, *, maximum: int) -> float | None:
        """Returns a query parameter that must be a number of seconds from 0; None if it is absent.

        Raises:
            HttpProblem: 422, if it is not.
        """
        text = self.request.query_params.get(name)
        if text is None:
            return None
        seconds = float(text) if _SECONDS.fullmatch(text) else math.nan
        if not 0 <= seconds <= maximum:
            raise HttpProblem(422, f"{name} must be a number of seconds from 0 to {maximum}")
        return seconds

    def actor(self) -> Actor:
        """Returns who asks, with the `reason` of the query.

        Raises:
            HttpProblem: 422, if the reason is too long.
        """
        reason = self.parameter("reason")
        if reason is not None and len(reason) > MAX_REASON:
            raise HttpProblem(422, f"reason must have at most {MAX_REASON} characters")
        return Actor(self.caller.name, reason)

    # -- waiting

    async def client_disconnected(self) -> None:
        """Returns when the client closes the connection. Read the body first."""
        while (await self.request.receive())["type"] != "http.disconnect":
            pass


def json_response(content: Json, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Returns a JSON response."""
    return Response(orjson.dumps(content), status, headers, media_type="application/json")
