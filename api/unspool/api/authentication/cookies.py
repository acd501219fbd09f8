"""The cookie of a session, and the token that shows that a page of this API sent a request.

The token is derived from the secret in the cookie. Scripts cannot read the cookie, and pages of other sites
cannot read the token.
"""

import hmac
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request

from unspool.api.authentication.browser_cookie import BrowserCookie
from unspool.eventstore.api_keys import Credential, parse_credential

CSRF_HEADER: Final = "X-CSRF-Token"

SESSION: Final = BrowserCookie("unspool_session", "strict")
"""The cookie. It has a credential as text."""


def read_cookie(request: Request, *, https: bool) -> Credential | None:
    """Returns the credential in the cookie; None if there is none."""
    return parse_credential(SESSION.read(request, https=https))


def csrf_token(credential: Credential) -> str:
    """Returns the token of a session."""
    return hmac.new(credential.secret.encode(), b"csrf", sha256).hexdigest()


def is_from_own_page(request: Request, credential: Credential) -> bool:
    """Returns whether a page of this API sent the request: its origin and its token say so."""
    origin = urlsplit(request.headers.get("origin", "")).netloc
    token = request.headers.get(CSRF_HEADER, "")
    same_origin = bool(origin) and origin == request.headers.get("host")
    return same_origin and hmac.compare_digest(token.encode(), csrf_token(credential).encode())
