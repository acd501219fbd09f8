"""Credentials of a request: how they are sent, and how they are kept out of what people read."""

import base64
import re
from collections.abc import Mapping
from typing import Final

from unspool.definitions.errors import configuration
from unspool.eventstore.events import Json
from unspool.executor.masking import HIDDEN
from unspool.executor.outcome import Rejected

_SECRET_HEADER: Final = re.compile(
    r"authorization|cookie|api-?key|token|secret|password|signature|credential", re.IGNORECASE
)


def authorization(policy: Json) -> tuple[str, tuple[str, ...]]:
    """The `Authorization` header of an evaluated authentication policy, and the secrets in it (inventory K).

    Raises:
        Rejected: the policy is not one this executor knows, or lacks a part.
    """
    match policy:
        case {"basic": {"username": str(username), "password": str(password)}}:
            return _basic(username, password)
        case {"bearer": {"token": str(token)}}:
            return f"Bearer {token}", (token,)
        case {"basic": _}:
            raise Rejected(configuration("basic authentication needs a username and a password, both text"))
        case {"bearer": _}:
            raise Rejected(configuration("bearer authentication needs a token, as text"))
        case dict():
            kind = ", ".join(policy)
        case _:
            kind = type(policy).__name__
    raise Rejected(configuration(f"authentication must be basic or bearer, not {kind}"))


def _basic(username: str, password: str) -> tuple[str, tuple[str, ...]]:
    if ":" in username:
        raise Rejected(configuration("a username of basic authentication cannot have a colon (RFC 7617)"))
    encoded = base64.b64encode(f"{username}:{password}".encode()).decode()
    return f"Basic {encoded}", (password, encoded)


def redacted(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers with the values of those that carry credentials hidden."""
    # aiohttp's names are a kind of str that JSON encoders refuse.
    return {str(name): HIDDEN if _SECRET_HEADER.search(name) else value for name, value in headers.items()}
