"""What each route requires of its caller. A route that is not listed here does not exist."""

from typing import Final, NamedTuple

from unspool.api.authentication.caller import Caller, missing_scope
from unspool.api.problems import HttpProblem
from unspool.eventstore.api_keys import Scope


class Access(NamedTuple):
    """What a caller needs."""

    scope: Scope | None = None
    """None if every authenticated caller may use the route."""
    public: bool = False
    """Whether the route needs no credential."""
    whole_store: bool = False
    """Whether the route shows what belongs to no tenant, so the caller must be one of all tenants."""


PUBLIC: Final = Access(public=True)
CALLER: Final = Access()
READ: Final = Access(Scope.READ)
START: Final = Access(Scope.START)
OPERATE: Final = Access(Scope.OPERATE)
ADMIN: Final = Access(Scope.ADMIN)
STORE: Final = Access(Scope.READ, whole_store=True)

ACCESS: Final[dict[str, dict[str, Access]]] = {
    "/api/v1/workflows": {"GET": READ, "POST": ADMIN},
    "/api/v1/workflows/{namespace}/{name}": {"GET": READ},
    "/api/v1/workflows/{namespace}/{name}/executions": {"POST": START},
    "/api/v1/workflows/{namespace}/{name}/statistics": {"GET": READ},
    "/api/v1/workflows/{namespace}/{name}/{version}": {"GET": READ},
    "/api/v1/workflows/{namespace}/{name}/{version}/diagram": {"GET": READ},
    "/api/v1/workflows/{namespace}/{name}/{version}/findings": {"GET": READ},
    "/api/v1/workflows/{namespace}/{name}/{version}/input-check": {"POST": START},
    "/api/v1/executions": {"GET": READ},
    "/api/v1/counts": {"GET": READ},
    "/api/v1/executions/{id}": {"GET": READ},
    "/api/v1/executions/{id}/events": {"GET": READ},
    "/api/v1/executions/{id}/events/stream": {"GET": READ},
    "/api/v1/executions/{id}/state": {"GET": READ},
    "/api/v1/executions/{id}/diagram": {"GET": READ},
    "/api/v1/executions/{id}/timeline": {"GET": READ},
    "/api/v1/executions/{id}/why": {"GET": READ},
    "/api/v1/executions/{id}/cancel": {"POST": OPERATE},
    "/api/v1/executions/{id}/suspend": {"POST": OPERATE},
    "/api/v1/executions/{id}/resume": {"POST": OPERATE},
    "/api/v1/executions/{id}/retry": {"POST": OPERATE},
    "/api/v1/events": {"POST": START},
    "/api/v1/events/stream": {"GET": READ},
    "/api/v1/events/{position}": {"GET": READ},
    "/api/v1/functions": {"GET": READ},
    "/api/v1/hooks/{name}": {"POST": PUBLIC},  # a webhook verifies the sender itself
    "/api/v1/services": {"GET": STORE},
    "/api/v1/schedules": {"GET": READ},
    "/api/v1/schedules/{id}/pause": {"POST": OPERATE},
    "/api/v1/schedules/{id}/resume": {"POST": OPERATE},
    "/api/v1/dlq": {"GET": READ},
    "/api/v1/dlq/{id}": {"GET": READ, "DELETE": OPERATE},
    "/api/v1/dlq/{id}/requeue": {"POST": OPERATE},
    "/api/v1/keys": {"GET": ADMIN, "POST": ADMIN},
    "/api/v1/keys/{id}": {"DELETE": ADMIN},
    "/api/v1/session": {"GET": CALLER, "POST": PUBLIC, "DELETE": CALLER},
    "/api/v1/session/login": {"GET": PUBLIC},
    "/api/v1/session/callback": {"GET": PUBLIC},  # it checks that this browser began the login
    "/health/live": {"GET": PUBLIC},
    "/health/ready": {"GET": PUBLIC},
    "/metrics": {"GET": STORE},
    "/api/diagram.css": {"GET": PUBLIC},
    "/api/openapi.json": {"GET": PUBLIC},
    "/api/docs": {"GET": PUBLIC},
}


def access_of(path: str) -> dict[str, Access]:
    """Returns what the methods of a route require; `HEAD` requires what `GET` requires.

    Raises:
        KeyError: the table does not have the route.
    """
    by_method = ACCESS[path]
    return {"HEAD": by_method["GET"], **by_method} if "GET" in by_method else by_method


def check_access(caller: Caller, access: Access) -> None:
    """Checks that a caller may use a route.

    Raises:
        HttpProblem: 403, if it lacks a scope or belongs to one tenant and the route to all.
    """
    if access.scope is not None and access.scope not in caller.scopes:
        raise missing_scope(access.scope)
    if access.whole_store and caller.tenant is not None:
        raise HttpProblem(403, "this belongs to no tenant; it needs a key for all tenants")
