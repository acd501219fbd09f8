"""Builds the HTTP request from a task's evaluated arguments, and refuses bad arguments. Pure."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

import orjson
from multidict import CIMultiDict
from yarl import URL

from unspool.definitions.errors import WorkflowError, communication
from unspool.definitions.json_value import Json
from unspool.eventstore.records import TaskRequest
from unspool.executor.authentication.credentials import NONE, Credentials
from unspool.executor.http.target import exact_url, with_parameters
from unspool.executor.outcome import Rejected, reject

Pairs = list[tuple[str, str]]

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NOT_IN_VALUE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_NOT_IN_URI: Final = re.compile(r"[\x00-\x20\x7f]")

_RESERVED_HEADERS: Final = frozenset(
    {"connection", "content-length", "expect", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)
"""Headers that delimit a message. If authors could set them, they could add a second request."""

_OUTPUTS: Final = frozenset({"content", "raw", "response"})


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request ready to be sent."""

    method: str
    url: URL
    headers: CIMultiDict[str]
    body: bytes | None
    output: str
    """`content`, `raw` or `response`."""
    redirect: bool
    secrets: tuple[str, ...] = ()
    """Texts to hide in errors."""
    credentials: Credentials = NONE
    shown_url: str = ""
    """The URL in outputs, if the query has an API key."""
    secret_headers: frozenset[str] = frozenset()
    """The names of headers with API keys, in lower case."""

    @property
    def label(self) -> str:
        """The request as errors name it: without the query, which may contain keys."""
        return f"{self.method} {self.url.origin()}{self.url.path}"


def prepare(request: TaskRequest, credentials_of: Callable[[Json], Credentials]) -> HttpRequest:
    """Reads the arguments of an `http` task.

    Args:
        request: of the task.
        credentials_of: makes the credentials of a policy (`Authentication.credentials`).

    Raises:
        Rejected: an argument cannot be sent; the `configuration` or `communication` error names it.
    """
    arguments = request.arguments
    url, userinfo = usable_url(arguments["endpoint"]["uri"])
    if (query := arguments.get("query")) is not None:
        url = with_parameters(url, pairs(query, "query"))
    written = arguments.get("headers")
    headers = checked_headers(() if written is None else pairs(written, "headers"))
    headers.setdefault("Idempotency-Key", request.idempotency_key)
    credentials = credentials_of(arguments["endpoint"].get("authentication") or userinfo)
    return HttpRequest(
        method=_method(arguments["method"]),
        url=url,
        headers=headers,
        body=_body(arguments.get("body"), headers),
        output=output_format(arguments.get("output", "content")),
        redirect=arguments.get("redirect") is True,
        secrets=credentials.secrets,
        credentials=credentials,
    )


def pairs(values: Json, what: str) -> Pairs:
    """Names and values of a map of scalars: a list repeats its name, null is omitted.

    Raises:
        Rejected: `values` is not such a map.
    """
    if not isinstance(values, dict):
        reject(f"{what} must be a map, not {_kind(values)}")
    return list(_pairs(values, what))


def _pairs(values: dict[str, Json], what: str) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        for item in value if isinstance(value, list) else (value,):
            if isinstance(item, str):
                yield name, item
            elif isinstance(item, dict | list):
                reject(f"{what} {name!r} must be a scalar or a list of scalars, not {_kind(item)}")
            elif item is not None:
                yield name, orjson.dumps(item).decode()


def usable_url(uri: Json) -> tuple[URL, Json]:
    """The URL without user information, and the user information as an authentication policy.

    Raises:
        Rejected: it is not a complete http or https URL.
    """
    if not isinstance(uri, str):
        reject(f"the endpoint's URI must be text, not {_kind(uri)}")
    if _NOT_IN_URI.search(uri):
        raise Rejected(_unusable("it contains white space or control characters"))
    try:
        url = exact_url(uri)
        usable = url.scheme in {"http", "https"} and url.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise Rejected(_unusable("it is not a complete http or https URL"))
    if url.user is None and url.password is None:
        return url, None
    basic = {"username": url.user or "", "password": url.password or ""}
    return url.with_user(None), {"basic": basic}


def _unusable(why: str) -> WorkflowError:
    """A `communication` error, not `configuration`: addresses are mostly built from data."""
    return communication(f"the endpoint's URI cannot be used: {why}", title="Unusable address")


def _method(method: Json) -> str:
    if not isinstance(method, str) or not _TOKEN.fullmatch(method) or method.upper() == "CONNECT":
        reject(f"{method!r} is not an HTTP method that can be used")
    return method.upper()


def checked_headers(values: Iterable[tuple[str, str]]) -> CIMultiDict[str]:
    """The headers of a request. Raises `Rejected` if one cannot be sent."""
    headers: CIMultiDict[str] = CIMultiDict()
    for name, value in values:
        if not _TOKEN.fullmatch(name):
            reject(f"{name!r} is not a valid header name")
        if name.lower() in _RESERVED_HEADERS:
            reject(f"the header {name!r} is set by the executor")
        _check_value(name, value)
        headers.add(name, value)
    return headers


def _check_value(name: str, value: str) -> None:
    if _NOT_IN_VALUE.search(value):
        reject(f"the value of header {name!r} contains line breaks or control characters")


def _body(body: Json, headers: CIMultiDict[str]) -> bytes | None:
    """The body as bytes. Sets the content type if the author did not (inventory J7)."""
    if body is None:
        return None
    if isinstance(body, str):
        headers.setdefault("Content-Type", "text/plain; charset=utf-8")
        return body.encode()
    kind = headers.setdefault("Content-Type", "application/json").partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        return urlencode(pairs(body, "body")).encode()
    return orjson.dumps(body)


def output_format(output: Json) -> str:
    """The format of the output. Raises `Rejected`."""
    if not isinstance(output, str) or output not in _OUTPUTS:
        reject(f"output must be content, raw or response, not {output!r}")
    return output


def _kind(value: Json) -> str:
    names = {dict: "a map", list: "a list", str: "text", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
