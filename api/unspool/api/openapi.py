"""The OpenAPI document of the API: the operations of `openapi.yaml`, completed with what holds by rule.

The rules add what each route requires of its caller, and the problems that the parts of a request can cause.
A status that neither `openapi.yaml` nor a rule names is never sent on purpose.
"""

from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from importlib.resources import files
from typing import Final

import yaml

from unspool.api.access import ACCESS, Access
from unspool.api.authentication.cookies import SESSION
from unspool.definitions.json_value import Json

METHODS: Final = ("get", "post", "delete")

PROBLEMS: Final = {
    400: "A header, or the body, is malformed",
    401: "There is no valid credential",
    403: "The credential lacks a scope or is of another tenant, or a page of another site sends it",
    404: "The object does not exist, or belongs to another tenant",
    408: "The body did not arrive in time",
    413: "The body is too large",
    415: "The body has an unsupported media type",
    421: "The API does not answer to this host name",
    422: "A parameter, or a value in the body, is not valid",
    429: "Too many requests of one key, starts or slow requests of one tenant, or wrong credentials",
    503: "The store is unavailable, a service does not run, or too many slow requests are under way",
}
"""What each problem means that a rule adds."""

OTHER_PROBLEMS: Final = {
    405: "The path does not accept this method",
    409: "The state of the object does not allow it, or the object exists with another content",
    500: "An internal error",
}
"""What other problems mean in general."""

ADVICE: Final = {
    400: "Correct the request: `detail` names the place.",
    401: "Send an API key or a JWT as `Authorization: Bearer …`. A key may be revoked or expired.",
    403: "Use a credential with the scope that `detail` names, of the tenant of the object.",
    404: "Check the id and the tenant (`X-Tenant`).",
    405: "Use a method that `Allow` names.",
    408: "Send the body faster, or raise `UNSPOOL_API_BODY_SECONDS`.",
    409: "Read the object again: its status or its content does not allow the request.",
    413: "Send less, or raise `UNSPOOL_API_MOST_INPUT_BYTES` or `UNSPOOL_API_MOST_DEFINITION_BYTES`.",
    415: "Set `Content-Type` to one that the call accepts.",
    421: "Use a host name of `UNSPOOL_API_NAMES`, or add this one.",
    422: "Correct the value: `detail` names it; `errors` lists all problems of a definition or an event.",
    429: "Wait for the seconds of `Retry-After`, then send the request again.",
    500: "It is a bug: the log of the API has the traceback. Report it.",
    503: "Wait for the seconds of `Retry-After`, then send it again; the log of the API has the cause.",
}
"""What a caller does about each problem (docs/reference/errors.md)."""

_BODY: Final = frozenset({400, 408, 413, 415, 422})
_CREDENTIAL: Final = frozenset({401, 403, 429})
_FIXED: Final = frozenset({"/api/diagram.css", "/api/openapi.json", "/api/docs"})
"""These do not need the store."""


@cache
def document(*, authentication: bool, https: bool = False) -> dict[str, Json]:
    """Returns the document.

    Args:
        authentication: whether requests need a credential.
        https: whether browsers use https; the cookie of a session then has another name.
    """
    made = deepcopy(_template())
    made["components"]["securitySchemes"]["session"]["name"] = SESSION.sent_name(https=https)
    made["components"]["responses"] |= {
        f"Problem{status}": _problem(status, cause) for status, cause in PROBLEMS.items()
    }
    for path, item in made["paths"].items():
        for method in METHODS:
            if method in item:
                access = ACCESS[path][method.upper()]
                item[method] = _completed(path, method, item, access, authentication)
    return made


@cache
def _template() -> dict[str, Json]:
    loaded: dict[str, Json] = yaml.safe_load(files("unspool.api").joinpath("openapi.yaml").read_text("utf-8"))
    return loaded


def _completed(
    path: str, method: str, item: dict[str, Json], access: Access, authentication: bool
) -> dict[str, Json]:
    """Returns an operation with its security and problems."""
    operation: dict[str, Json] = item[method]
    problems = {
        str(status): {"$ref": f"#/components/responses/Problem{status}"}
        for status in sorted(_problems(path, method, item, access))
    }
    responses = dict(sorted((problems | operation["responses"]).items()))
    return {**operation, "security": _security(access, authentication), "responses": responses}


def _security(access: Access, authentication: bool) -> list[Json]:
    """Returns the accepted credentials with the scope that they need, and no credential if none is needed."""
    if access.public:
        return []
    scopes = [] if access.scope is None else [access.scope.value]
    return [{"bearer": scopes}, {"session": scopes}, *([] if authentication else [{}])]


def _problems(path: str, method: str, item: dict[str, Json], access: Access) -> Iterator[int]:
    """Yields the statuses of the problems that the parts of a request can cause."""
    operation = item[method]
    yield from (400, 421)
    if path not in _FIXED:
        yield 503
    if not access.public:
        yield from _CREDENTIAL
    if method != "get":
        yield 403
    if "{" in path:
        yield 404
    if "parameters" in operation:
        yield 422
    if "requestBody" in operation:
        yield from _BODY


def _problem(status: int, cause: str) -> dict[str, Json]:
    """Returns the description of the response for a problem."""
    described: dict[str, Json] = {
        "description": cause,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    if status in {401, 429, 503}:
        described["headers"] = {_HEADERS[status]: {"schema": {"type": "string"}}}
    return described


_HEADERS: Final = {401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}
