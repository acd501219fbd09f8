"""Reads the answers of token endpoints (RFC 6749, 5). Pure."""

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import orjson

from unspool.definitions.errors import (
    WorkflowError,
    authentication,
    authorization,
    communication,
)
from unspool.definitions.json_value import Json
from unspool.executor.masking import LongMask, masked
from unspool.executor.outcome import Rejected

UNKNOWN_LIFETIME_SECONDS: Final = 60.0
"""How long a token is used whose lifetime is not known."""

_MARGIN_SECONDS: Final = 30.0
_MOST_CHARACTERS: Final = 64 * 1024
_MOST_DETAIL: Final = 300
_NOT_IN_TOKEN: Final = re.compile(r"[^!-~]")
_ERROR_CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")

_FORBIDDEN: Final = frozenset({"access_denied", "invalid_scope", "invalid_target", "unauthorized_client"})


@dataclass(frozen=True, slots=True)
class Token:
    """A token for the header `Authorization`."""

    value: str
    expires_at: float
    """When another one is needed, by the clock of the cache."""
    refresh_token: str | None
    mask: LongMask
    """Hides it in what a task returns."""


def read_token(
    answer: Json, now: float, wall_clock: float, issuers: tuple[str, ...], label: str = "the token endpoint"
) -> Token:
    """The token in an answer with success.

    Args:
        answer: the parsed body.
        now: the time of the request by the clock of the cache, in seconds.
        wall_clock: the same time in seconds since 1970.
        issuers: the issuers that are accepted; empty for all.
        label: names the request in errors.

    Raises:
        Rejected: there is no token that can be used, or its issuer is another one.
    """
    members = answer if isinstance(answer, dict) else {}
    value, kind = members.get("access_token"), str(members.get("token_type") or "bearer").lower()
    if (
        not isinstance(value, str)
        or not value
        or _NOT_IN_TOKEN.search(value)
        or len(value) > _MOST_CHARACTERS
    ):
        raise Rejected(authentication(f"the answer of {label} has no access token", title="No token"))
    if kind not in {"bearer", "n_a"}:
        detail = f"{label} issued a token that is not a bearer token, and no other can be used"
        raise Rejected(authentication(detail, title="No token"))
    claims = _claims(value)
    _check_issuer(members, claims, issuers, label)
    refresh_token = members.get("refresh_token")
    lifetime = _lifetime(members, claims, wall_clock)
    return Token(
        value,
        now + lifetime - min(_MARGIN_SECONDS, lifetime / 10),
        refresh_token if isinstance(refresh_token, str) and refresh_token else None,
        LongMask(value),
    )


def token_error(label: str, status: int, answer: Json, secrets: Iterable[str]) -> WorkflowError:
    """The error for an answer without success (RFC 6749, 5.2; inventory K4).

    Args:
        label: names the request.
        status: of the response.
        answer: the parsed body, if there is one.
        secrets: texts to hide.
    """
    members = answer if isinstance(answer, dict) else {}
    code = members.get("error")
    code = code if isinstance(code, str) and _ERROR_CODE.fullmatch(code) else ""
    detail = f"{label} answered {status}"
    if code:
        detail += f": {code}"
        description = members.get("error_description")
        if isinstance(description, str) and description:
            detail += f", {masked(description, secrets)[:_MOST_DETAIL]}"
    detail = masked(detail, secrets)
    if status == 403 or (status in {400, 401} and code in _FORBIDDEN):
        return authorization(detail, title="Token refused")
    if status in {400, 401}:
        return authentication(detail, title="Token refused")
    return communication(detail, title="No token", status=status if status >= 300 else None)


def _lifetime(members: dict[str, Json], claims: dict[str, Json], wall_clock: float) -> float:
    """Seconds from now."""
    try:
        seconds = float(members["expires_in"])
    except (KeyError, TypeError, ValueError):
        end = claims.get("exp")
        seconds = end - wall_clock if isinstance(end, int | float) else UNKNOWN_LIFETIME_SECONDS
    return max(0.0, seconds) if seconds < 1e9 else 1e9


def _check_issuer(
    members: dict[str, Json], claims: dict[str, Json], issuers: tuple[str, ...], label: str
) -> None:
    """Raises `Rejected` if the issuer of the tokens is not one of these (inventory K4).

    The tokens come from the token endpoint itself, over the connection that the policy names. So their
    signatures need no check (OpenID Connect Core 1.0, 3.1.3.7).
    """
    if not issuers:
        return
    id_token = members.get("id_token")
    issuer = claims.get("iss") or _claims(id_token if isinstance(id_token, str) else "").get("iss")
    if issuer is None:
        detail = f"the policy names issuers, but the token of {label} does not say who issued it"
        raise Rejected(authentication(detail, title="Unknown issuer"))
    if issuer not in issuers:
        detail = f"the issuer of the token of {label} is not one of the issuers that the policy names"
        raise Rejected(authentication(detail, title="Unknown issuer"))


def _claims(token: str) -> dict[str, Json]:
    """The claims of a JWT, not verified; empty if it is none."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = orjson.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}
