"""The signatures of known services, and the ids of their deliveries.

| kind | documentation |
|---|---|
| github | https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries |
| gitlab | https://docs.gitlab.com/user/project/integrations/webhooks |
| stripe | https://docs.stripe.com/webhooks#verify-manually |
| slack | https://docs.slack.dev/authentication/verifying-requests-from-slack |
| standardWebhooks | https://www.standardwebhooks.com |
"""

import re
from collections.abc import Callable
from typing import Any, Final

from unspool.api.hooks.received import HEADER_NAME
from unspool.api.hooks.values import HeaderValue, MemberValue, Value
from unspool.api.hooks.verification import (
    BASE64,
    HEX,
    NoVerification,
    Signature,
    Token,
    Verification,
    base64_key,
    prefixed,
    timed_list,
    versioned_list,
)
from unspool.definitions.durations import BadDuration, parse_duration

LONGEST_TOLERANCE: Final = 86_400_000
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")

USUAL_IDS: Final[dict[str, Value]] = {
    "github": HeaderValue("x-github-delivery"),
    "gitlab": HeaderValue("idempotency-key"),
    "stripe": MemberValue(".id"),
    "slack": MemberValue(".event_id"),
    "standardWebhooks": HeaderValue("webhook-id"),
}
"""Where the id of a delivery is, unless the configuration says it. A service may leave it out."""


class BadMember(ValueError):
    """A member of a verification is not valid; the message says why."""

    def __init__(self, member: str, message: str) -> None:
        super().__init__(message)
        self.member = member


def verification(kind: str, members: dict[str, Any]) -> Verification:
    """Returns the verification of a kind, with members that match the schema.

    Raises:
        BadMember: a member is not valid.
    """
    if kind == "none":
        return NoVerification()
    names = members["secret"]
    return _KINDS[kind](tuple([names] if isinstance(names, str) else names), members)


def _github(secrets: tuple[str, ...], _: dict[str, Any]) -> Verification:
    return Signature(secrets, "x-hub-signature-256", prefixed("sha256="))


def _gitlab(secrets: tuple[str, ...], _: dict[str, Any]) -> Verification:
    return Token(secrets, "x-gitlab-token")


def _bearer(secrets: tuple[str, ...], _: dict[str, Any]) -> Verification:
    return Token(secrets, "authorization", bearer=True)


def _token(secrets: tuple[str, ...], members: dict[str, Any]) -> Verification:
    return Token(secrets, members["header"].lower())


def _stripe(secrets: tuple[str, ...], members: dict[str, Any]) -> Verification:
    header = members.get("header", "stripe-signature").lower()
    return Signature(secrets, header, timed_list, ("timestamp", b".", "body"), tolerance=_tolerance(members))


def _slack(secrets: tuple[str, ...], members: dict[str, Any]) -> Verification:
    return Signature(
        secrets,
        "x-slack-signature",
        prefixed("v0="),
        (b"v0:", "timestamp", b":", "body"),
        time_header="x-slack-request-timestamp",
        tolerance=_tolerance(members),
    )


def _standard_webhooks(secrets: tuple[str, ...], members: dict[str, Any]) -> Verification:
    return Signature(
        secrets,
        "webhook-signature",
        versioned_list,
        ("webhook-id", b".", "timestamp", b".", "body"),
        time_header="webhook-timestamp",
        tolerance=_tolerance(members),
        encoding=BASE64,
        key=base64_key,
    )


def _hmac(secrets: tuple[str, ...], members: dict[str, Any]) -> Verification:
    timestamp = members.get("timestamp")
    made = Signature(
        secrets,
        members["header"].lower(),
        prefixed(members.get("prefix", "")),
        _signed(members),
        time_header=timestamp.lower() if timestamp else None,
        tolerance=_tolerance(members),
        algorithm=members.get("algorithm", "sha256"),
        encoding=BASE64 if members.get("encoding") == "base64" else HEX,
    )
    if "tolerance" in members and timestamp is None:
        raise BadMember("tolerance", "'tolerance' needs 'timestamp', the header with the time")
    return made


_KINDS: Final[dict[str, Callable[[tuple[str, ...], dict[str, Any]], Verification]]] = {
    "github": _github,
    "gitlab": _gitlab,
    "bearer": _bearer,
    "token": _token,
    "stripe": _stripe,
    "slack": _slack,
    "standardWebhooks": _standard_webhooks,
    "hmac": _hmac,
}


def _tolerance(members: dict[str, Any]) -> int:
    """Reads `tolerance`, in milliseconds."""
    try:
        duration = parse_duration(members.get("tolerance", "PT5M"))
    except BadDuration as error:
        raise BadMember("tolerance", str(error)) from None
    if duration.months or not 0 < duration.milliseconds <= LONGEST_TOLERANCE:
        raise BadMember("tolerance", "expected a duration that is longer than zero and at most a day (P1D)")
    return duration.milliseconds


def _signed(members: dict[str, Any]) -> tuple[bytes | str, ...]:
    """Reads `signed`: a text with `{body}`, `{timestamp}` and `{X-Header}`."""
    timed = "timestamp" in members
    pieces = _PLACEHOLDER.split(members.get("signed", "{timestamp}.{body}" if timed else "{body}"))
    if any("{" in piece or "}" in piece for piece in pieces[::2]):
        raise BadMember(
            "signed", "expected text with {body}, {timestamp} and {X-Header}, without other braces"
        )
    names = [piece.lower() for piece in pieces[1::2]]
    if names.count("body") != 1:
        raise BadMember("signed", "the body must be signed: write {body} once")
    if ("timestamp" in names) != timed:
        raise BadMember("signed", "'timestamp' names the header of {timestamp}; each needs the other")
    if not all(map(HEADER_NAME.fullmatch, names)):
        raise BadMember("signed", "expected {body}, {timestamp}, or the name of a header in braces")
    parts = [piece.lower() if place % 2 else piece.encode() for place, piece in enumerate(pieces)]
    return tuple(part for part in parts if part)
