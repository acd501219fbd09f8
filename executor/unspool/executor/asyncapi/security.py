"""Turns the authentication of a call into credentials, as the security schemes of the document say. Pure."""

import base64
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from unspool.definitions.json_value import Json
from unspool.executor.asyncapi.document import AsyncApiDocument
from unspool.executor.authentication.api_keys import api_key, required_names
from unspool.executor.brokers.port import Credentials
from unspool.executor.outcome import reject

_SCRAM: Final = {"scramSha256": "SCRAM-SHA-256", "scramSha512": "SCRAM-SHA-512"}


def credentials_of(document: AsyncApiDocument, security: Json, policy: Json) -> Credentials:
    """Returns the credentials.

    Args:
        document: has the security schemes.
        security: what the server or the operation requires; None if nothing.
        policy: the evaluated authentication policy of the call; None without one.

    Raises:
        Rejected: the policy cannot be used.
    """
    if policy is None:
        return Credentials()
    credentials = _of_policy(policy)
    for scheme in _schemes(document, security):
        credentials = _as_required(credentials, scheme)
    return credentials


def _of_policy(policy: Json) -> Credentials:
    match policy:
        case {"basic": {"username": str() as username, "password": str() as password}}:
            encoded = base64.b64encode(f"{username}:{password}".encode()).decode()
            return Credentials(username, password, headers={"Authorization": f"Basic {encoded}"})
        case {"bearer": {"token": str() as token}}:
            _check_header(token)
            return Credentials(token=token, headers={"Authorization": f"Bearer {token}"})
        case {"basic": _} | {"bearer": _}:
            return reject("basic authentication needs a username and a password, bearer a token, all text")
        case _:
            kind = ", ".join(policy) if isinstance(policy, dict) else type(policy).__name__
            return reject(f"authentication of call: asyncapi is basic, bearer, oauth2 or oidc, not {kind}")


def _check_header(text: str) -> None:
    if not text.isprintable() or not text.isascii():
        reject("a token must be printable ASCII text")


def _schemes(document: AsyncApiDocument, security: Json) -> Iterator[dict[str, Json]]:
    """The security schemes: by name in AsyncAPI 2, themselves in AsyncAPI 3."""
    if document.version == 2:
        named = document.at(document.value.get("components", {})).get("securitySchemes", {})
        yield from (document.at(named[name]) for name in required_names(security) if name in named)
    else:
        yield from document.items(security)


def _as_required(credentials: Credentials, scheme: Mapping[str, Json]) -> Credentials:
    match scheme:
        case {"type": "scramSha256" | "scramSha512" as kind}:
            return replace(credentials, mechanism=_SCRAM[kind])
        case {"type": "apiKey", "in": "user"}:
            return replace(credentials, username=credentials.token or credentials.username)
        case {"type": "apiKey", "in": "password"}:
            return replace(credentials, password=credentials.token or credentials.password)
        case {"type": "httpApiKey"} if credentials.token and (key := api_key(scheme)) is not None:
            token = credentials.token
            return replace(credentials, headers=key.headers(token), query=key.query(token))
        case _:
            return credentials
