"""Who sends a request, and the answers to a caller that may not send it."""

from dataclasses import dataclass
from math import ceil
from typing import Final

from unspool.api.problems import HttpProblem
from unspool.eventstore.api_keys import Scope

ANONYMOUS: Final = "anonymous"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request."""

    name: str
    """As histories show it: `key:NAME`, `jwt:SUBJECT` or `anonymous`."""
    tenant: str | None
    """The only tenant that the caller may act in; None for every tenant."""
    scopes: frozenset[Scope]
    """With those that they include."""
    key: str | None = None
    """The id of the key that the caller used, also to log in."""
    session: str | None = None
    """The id of the caller's session."""
    expires_at: int | None = None
    """When the credential ends, milliseconds since 1970."""
    csrf: str | None = None
    """The token that unsafe requests of the session must send."""

    @property
    def limit(self) -> str:
        """Names the rate of requests that belongs to this caller."""
        return self.key or f"{self.tenant or '*'} {self.name}"


ANY_CALLER: Final = Caller(ANONYMOUS, None, frozenset(Scope))
"""The caller of every request while authentication is off."""

PUBLIC_CALLER: Final = Caller(ANONYMOUS, None, frozenset())
"""The caller of a public route while authentication is on."""


def unauthenticated(detail: str) -> HttpProblem:
    """Returns the answer to a request without a valid credential."""
    problem = HttpProblem(401, detail)
    problem.headers["WWW-Authenticate"] = "Bearer"
    return problem


def missing_scope(scope: Scope) -> HttpProblem:
    """Returns the answer to a caller that lacks a scope."""
    problem = HttpProblem(403, f"this request needs the scope {scope}", scope=scope.value)
    problem.headers["WWW-Authenticate"] = f'Bearer error="insufficient_scope", scope="{scope}"'
    return problem


def too_many(detail: str, seconds: float) -> HttpProblem:
    """Returns the answer to a caller that must wait so many seconds."""
    problem = HttpProblem(429, detail)
    problem.headers["Retry-After"] = str(max(1, ceil(seconds)))
    return problem
