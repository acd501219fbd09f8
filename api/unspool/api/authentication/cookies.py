"""The cookie of a session, and the token that shows that a page of this API sent a request.

The token is derived from the secret in the cookie. Scripts cannot read the cookie, and pages of other sites
cannot read the token.
"""

import hmac
from hashlib import sha256
from typing import Final

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


def is_from_own_page(request: Request, credential: Credential, *, https: bool) -> bool:
    """Returns whether a page of this API sent the request: its origin and its token say so."""
    token = request.headers.get(CSRF_HEADER, "")
    expected = csrf_token(credential)
    return is_own_origin(request, https=https) and hmac.compare_digest(token.encode(), expected.encode())


def is_own_origin(request: Request, *, https: bool) -> bool:
    """Returns whether the `Origin` of a request is that of this API.

    Args:
        request: a request.
        https: whether browsers use https. If not, a proxy that the API does not know of may use it.
    """
    origin, host = request.headers.get("origin"), request.headers.get("host")
    return origin == f"https://{host}" or (origin == f"http://{host}" and not https)
