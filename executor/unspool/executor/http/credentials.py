"""Credentials of a request: builds the header and hides it in outputs."""

import re
from collections.abc import Mapping
from typing import Final

from unspool.definitions.authentication import descriptor
from unspool.definitions.errors import configuration
from unspool.definitions.json_value import Json
from unspool.executor.masking import HIDDEN
from unspool.executor.outcome import Rejected

_SECRET_HEADER: Final = re.compile(
    r"authorization|cookie|api-?key|token|secret|password|signature|credential", re.IGNORECASE
)


def authorization(policy: Json) -> tuple[str, tuple[str, ...]]:
    """The `Authorization` header of an evaluated authentication policy, and the secrets in it (inventory K).

    Raises:
        Rejected: the kind of the policy is unknown, or a part is missing.
    """
    sent = descriptor(policy)
    if sent is None:
        raise Rejected(configuration(_cause(policy)))
    secrets = [sent["parameter"]]
    if "basic" in policy:
        if ":" in policy["basic"]["username"]:
            detail = "a username of basic authentication cannot have a colon (RFC 7617)"
            raise Rejected(configuration(detail))
        secrets.append(policy["basic"]["password"])
    return f"{sent['scheme']} {sent['parameter']}", tuple(secrets)


def _cause(policy: Json) -> str:
    match policy:
        case {"basic": _}:
            return "basic authentication needs a username and a password, both text"
        case {"bearer": _}:
            return "bearer authentication needs a token, as text"
        case dict():
            kind = ", ".join(policy)
        case _:
            kind = type(policy).__name__
    return f"authentication must be basic or bearer, not {kind}"


def redacted(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers, with `***` as the value of those that carry credentials."""
    # aiohttp's header names are a subclass of str that JSON encoders refuse.
    return {str(name): HIDDEN if _SECRET_HEADER.search(name) else value for name, value in headers.items()}
