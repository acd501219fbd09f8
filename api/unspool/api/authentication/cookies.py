"""The cookie of a session, and the token that shows that a page of this API sent a request.

The token is derived from the secret in the cookie. Scripts cannot read the cookie, and pages of other sites
cannot read the token.
"""

import hmac
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from unspool.eventstore.api_keys import Credential, parse_credential

CSRF_HEADER: Final = "X-CSRF-Token"

_PLAIN: Final = "unspool_session"
_SECURE: Final = "__Host-unspool_session"
"""Browsers accept a cookie with this prefix only by https, from the host itself
(https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis, 4.1.3)."""


def set_cookie(response: Response, credential: Credential, seconds: int, *, https: bool) -> None:
    """Gives the browser a session for some seconds."""
    response.set_cookie(
        cookie_name(https),
        credential.text(),
        seconds,
        path="/",
        secure=https,
        httponly=True,
        samesite="strict",
    )


def delete_cookie(response: Response, *, https: bool) -> None:
    """Removes the session from the browser."""
    response.delete_cookie(cookie_name(https), path="/", secure=https, httponly=True, samesite="strict")


def read_cookie(request: Request, *, https: bool) -> Credential | None:
    """Returns the credential in the cookie; None if there is none."""
    return parse_credential(request.cookies.get(cookie_name(https), ""))


def csrf_token(credential: Credential) -> str:
    """Returns the token of a session."""
    return hmac.new(credential.secret.encode(), b"csrf", sha256).hexdigest()


def is_from_own_page(request: Request, credential: Credential) -> bool:
    """Returns whether a page of this API sent the request: its origin and its token say so."""
    origin = urlsplit(request.headers.get("origin", "")).netloc
    token = request.headers.get(CSRF_HEADER, "")
    same_origin = bool(origin) and origin == request.headers.get("host")
    return same_origin and hmac.compare_digest(token.encode(), csrf_token(credential).encode())


def cookie_name(https: bool) -> str:
    """Returns the name of the cookie."""
    return _SECURE if https else _PLAIN
