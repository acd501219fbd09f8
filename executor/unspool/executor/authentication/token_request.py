"""Builds requests for tokens (RFC 6749, RFC 8693): the parameters of the grant and of the client. Pure."""

from base64 import b64encode
from collections.abc import Iterator
from typing import Final
from urllib.parse import quote_plus, urlencode

import orjson
from multidict import CIMultiDict
from yarl import URL

from unspool.definitions.json_value import Json
from unspool.executor.authentication.token_policy import (
    AUTHORIZATION_CODE,
    FORM,
    PASSWORD,
    REFRESH_TOKEN,
    TOKEN_EXCHANGE,
    Client,
    TokenPolicy,
)
from unspool.executor.http.request import HttpRequest

Parameters = list[tuple[str, str]]

_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def token_request(
    policy: TokenPolicy, endpoint: URL, *, assertion: str | None, refresh_token: str | None
) -> HttpRequest:
    """The request for a token.

    Args:
        policy: says how.
        endpoint: where.
        assertion: authenticates the client, if its method is one with a JWT.
        refresh_token: of an earlier token, which is refreshed; None for the grant of the policy.
    """
    grant = _refresh(policy, refresh_token) if refresh_token is not None else _grant(policy)
    parameters = [*grant, *_client(policy.client, assertion)]
    headers = CIMultiDict({"Accept": "application/json", "Content-Type": policy.encoding})
    if policy.client.method == "client_secret_basic":
        headers["Authorization"] = _basic(policy.client)
    secrets = [*policy.secrets, *(text for text in (assertion, refresh_token) if text)]
    return HttpRequest(
        method="POST",
        url=endpoint,
        headers=headers,
        body=_body(parameters, policy.encoding),
        output="content",
        redirect=False,  # no other address gets the credentials
        secrets=tuple(secrets),
    )


def _grant(policy: TokenPolicy) -> Iterator[tuple[str, str]]:
    yield "grant_type", policy.grant
    subject, actor = policy.subject, policy.actor
    if policy.grant == PASSWORD:
        yield from (("username", policy.username or ""), ("password", policy.password or ""))
    elif subject is not None and policy.grant == AUTHORIZATION_CODE:
        yield "code", subject.token
    elif subject is not None and policy.grant == REFRESH_TOKEN:
        yield "refresh_token", subject.token
    elif subject is not None and policy.grant == TOKEN_EXCHANGE:
        yield from (("subject_token", subject.token), ("subject_token_type", subject.type))
        if actor is not None:
            yield from (("actor_token", actor.token), ("actor_token_type", actor.type))
    yield from _wishes(policy)


def _refresh(policy: TokenPolicy, refresh_token: str) -> Iterator[tuple[str, str]]:
    yield from (("grant_type", REFRESH_TOKEN), ("refresh_token", refresh_token))
    yield from _wishes(policy)


def _wishes(policy: TokenPolicy) -> Iterator[tuple[str, str]]:
    if policy.scopes:
        yield "scope", " ".join(policy.scopes)
    yield from (("audience", audience) for audience in policy.audiences)


def _client(client: Client, assertion: str | None) -> Iterator[tuple[str, str]]:
    if client.id is not None and client.method != "client_secret_basic":
        yield "client_id", client.id
    if client.secret is not None and client.method == "client_secret_post":
        yield "client_secret", client.secret
    if assertion is not None:
        yield from (("client_assertion_type", _ASSERTION_TYPE), ("client_assertion", assertion))


def _basic(client: Client) -> str:
    """The header of RFC 6749, 2.3.1: both parts are encoded as in a form first."""
    written = f"{quote_plus(client.id or '')}:{quote_plus(client.secret or '')}"
    return f"Basic {b64encode(written.encode()).decode()}"


def _body(parameters: Parameters, encoding: str) -> bytes:
    if encoding == FORM:
        return urlencode(parameters).encode()
    members: dict[str, Json] = {}
    for name, value in parameters:  # only an audience can be there more than once
        known = members.get(name)
        members[name] = value if known is None else [*(known if isinstance(known, list) else [known]), value]
    return orjson.dumps(members)
