"""Builds the HTTP request of a call of an operation (inventory J13, J14). Pure."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NoReturn

import orjson
from multidict import CIMultiDict

from unspool.definitions.data_schema import SchemaProblem
from unspool.definitions.errors import validation
from unspool.definitions.json_value import Json
from unspool.definitions.spelling import did_you_mean, shown
from unspool.executor.authentication.api_keys import ApiKey
from unspool.executor.authentication.credentials import NONE, Credentials
from unspool.executor.documents.text import UnusableDocument
from unspool.executor.http.request import HttpRequest, checked_headers, output_format, usable_url
from unspool.executor.masking import HIDDEN
from unspool.executor.openapi.operation import Operation
from unspool.executor.openapi.parameters import Parameter
from unspool.executor.openapi.styles import (
    NotWritable,
    Style,
    header_text,
    path_text,
    query_pairs,
    scalar_text,
)
from unspool.executor.outcome import Rejected

_VARIABLE: Final = re.compile(r"\{([^{}]+)\}")
_SHOWN_PROBLEMS: Final = 3
_PLAIN: Final = Style("form")


@dataclass(slots=True)
class _Pieces:
    """The parts of a request, while it is built."""

    path: dict[str, str] = field(default_factory=dict)
    query: list[str] = field(default_factory=list)
    headers: list[tuple[str, str]] = field(default_factory=list)
    cookies: list[str] = field(default_factory=list)
    form: dict[str, Json] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    """Secrets: the API keys."""
    secret_headers: list[str] = field(default_factory=list)
    shown_query: list[str] = field(default_factory=list)
    """The query without secrets."""


def prepare(
    operation: Operation,
    document: str,
    arguments: dict[str, Json],
    idempotency_key: str,
    credentials_of: Callable[[Json], Credentials],
) -> HttpRequest:
    """Builds the request.

    Args:
        operation: that is called.
        document: the address of its document.
        arguments: the evaluated arguments of the call.
        idempotency_key: of the task.
        credentials_of: makes the credentials of a policy (`Authentication.credentials`).

    Raises:
        Rejected: a parameter is missing, unknown or not valid: a `validation` error that names it. Or the
            request cannot be sent.
        UnusableDocument: the document has no usable address.
    """
    given = arguments.get("parameters") or {}
    pieces = _Pieces()
    for parameter in operation.parameters:
        _add_parameter(pieces, operation, parameter, given)
    known = {parameter.name for parameter in operation.parameters}
    rest = {name: value for name, value in given.items() if name not in known}
    _add_given_keys(pieces, operation, rest)
    policy = arguments.get("authentication")
    if (keyed := operation.security.key_for(policy)) is not None:
        _add_key(pieces, *keyed)
    credentials = NONE if policy is None or keyed is not None else credentials_of(policy)
    headers, body = _headers_and_body(pieces, operation, rest)
    headers.setdefault("Accept", operation.accept)
    headers.setdefault("Idempotency-Key", idempotency_key)
    address = operation.server.address(document) + _path(operation, pieces)
    return HttpRequest(
        method=operation.method,
        url=usable_url("?".join([address, *_joined(pieces.query)]))[0],
        headers=headers,
        body=body,
        output=output_format(arguments.get("output", "content")),
        redirect=arguments.get("redirect") is True,
        secrets=(*credentials.secrets, *pieces.keys),
        credentials=credentials,
        shown_url="?".join([address, *_joined(pieces.shown_query)]) if pieces.keys else "",
        secret_headers=frozenset(pieces.secret_headers),
    )


def _add_parameter(
    pieces: _Pieces, operation: Operation, parameter: Parameter, given: dict[str, Json]
) -> None:
    """Adds the value of a parameter. Null means that it is not sent, not even its default value."""
    value = given.get(parameter.name, parameter.default)
    if value is None:
        if parameter.required:
            _reject(f"the parameter '{parameter.name}' of the operation '{operation.id}' is missing")
        return
    if parameter.name in given and not parameter.is_file:
        value = parameter.schema.fitting(value)
        _check(
            f"the parameter '{parameter.name}' of the operation '{operation.id}'",
            parameter.schema.problems(value),
        )
    if parameter.as_json:
        value = orjson.dumps(value).decode()
    try:
        _write(pieces, parameter.name, parameter.place, value, parameter.style)
    except NotWritable as problem:
        _reject(f"the parameter '{parameter.name}' of the operation '{operation.id}' {problem}")


def _write(pieces: _Pieces, name: str, place: str, value: Json, style: Style) -> None:
    match place:
        case "path":
            pieces.path[name] = path_text(name, value, style)
        case "query":
            pairs = query_pairs(name, value, style)
            pieces.query += pairs
            pieces.shown_query += pairs
        case "header":
            pieces.headers.append((name, header_text(value, style)))
        case "cookie":
            pieces.cookies += query_pairs(name, value, style)
        case _:
            pieces.form[name] = value


def _add_given_keys(pieces: _Pieces, operation: Operation, rest: dict[str, Json]) -> None:
    """Adds the API keys that are parameters of the call, by the name of their header, query or cookie."""
    for key in operation.security.keys:
        if rest.get(key.name) is not None:
            try:
                _add_key(pieces, key, scalar_text(rest.pop(key.name)))
            except NotWritable as problem:
                _reject(f"the key '{key.name}' of the operation '{operation.id}' {problem}")


def _add_key(pieces: _Pieces, key: ApiKey, value: str) -> None:
    pieces.keys.append(value)
    match key.place:
        case "header":
            pieces.headers.append((key.name, value))
            pieces.secret_headers.append(key.name.lower())
        case "query":
            pieces.query += query_pairs(key.name, value, _PLAIN)
            pieces.shown_query += query_pairs(key.name, HIDDEN, Style("form", allow_reserved=True))
        case _:
            pieces.cookies += query_pairs(key.name, value, _PLAIN)


def _headers_and_body(
    pieces: _Pieces, operation: Operation, rest: dict[str, Json]
) -> tuple[CIMultiDict[str], bytes | None]:
    cookies = [("Cookie", "; ".join(pieces.cookies))] if pieces.cookies else []
    headers = checked_headers([*pieces.headers, *cookies])
    body, value = operation.body, _body_value(operation, pieces.form, rest)
    if body is None or value is None:
        return headers, None
    try:
        content_type, content = body.written(value)
    except NotWritable as problem:
        _reject(f"the body of the operation '{operation.id}' {problem}")
    headers.setdefault("Content-Type", content_type)
    return headers, content


def _body_value(operation: Operation, form: dict[str, Json], rest: dict[str, Json]) -> Json:
    """The value of the body, checked; None if there is none."""
    body = operation.body
    if rest and (body is None or not body.takes(rest)):
        _reject_unknown(operation, rest)
    if form or body is None:
        return form or None
    value = body.value(rest)
    if value is None and body.required:
        _reject(f"the body of the operation '{operation.id}' is missing")
    if value is not None and body.check is not None:
        _check(f"the body of the operation '{operation.id}'", body.check.problems(value))
    return value


def _path(operation: Operation, pieces: _Pieces) -> str:
    def text(match: re.Match[str]) -> str:
        if match[1] not in pieces.path:
            raise UnusableDocument(
                f"the path of '{operation.id}' has the variable '{shown(match[1])}', which is not a parameter"
            )
        return pieces.path[match[1]]

    return _VARIABLE.sub(text, operation.path)


def _joined(pairs: list[str]) -> list[str]:
    return ["&".join(pairs)] if pairs else []


def _reject_unknown(operation: Operation, rest: dict[str, Json]) -> NoReturn:
    name = next(iter(rest))
    known = [each.name for each in operation.parameters]
    known += operation.body.names if operation.body is not None else ()
    _reject(f"the operation '{operation.id}' has no parameter '{shown(name)}'{did_you_mean(name, known)}")


def _check(what: str, problems: list[SchemaProblem]) -> None:
    if problems:
        _reject(f"{what} is not valid: {'; '.join(map(str, problems[:_SHOWN_PROBLEMS]))}")


def _reject(detail: str) -> NoReturn:
    raise Rejected(validation(detail))
