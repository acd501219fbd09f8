"""A login that has begun at the issuer: what the browser keeps of it, in a cookie.

The cookie has one random secret, the time, the page to return to, and the session that the login ends. State,
nonce and code verifier are derived from all of it, so no store and no key of the API is needed. An answer
with the state proves that this browser began the login, at that time and for that page.
"""

import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from secrets import token_urlsafe
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from unspool.api.authentication.browser_cookie import BrowserCookie
from unspool.api.authentication.former_session import FORMER

SECONDS: Final = 600
"""How long a person may take to log in at the issuer."""

PAGE: Final = re.compile(
    r"/([A-Za-z0-9._~!$&'()*+,;=:@%-]+(/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)*/?)?(\?[!$-;=?-\[\]-~]*)?"
)
"""A path of this server with its query. It cannot name another server: no part of the path is empty, and it
has no backslashes, blanks or control characters, which browsers read as slashes or leave out."""

MOST_PAGE: Final = 1024
"""The longest page in characters, so that the cookie has less than 4 KiB."""

_COOKIE: Final = BrowserCookie("unspool_login", "lax")
"""It cannot be `SameSite=Strict`: the issuer sends the browser back from its own site."""

_CONTENT: Final = re.compile(
    rf"([A-Za-z0-9_-]{{43}})\.([0-9]{{1,15}})\.([A-Za-z0-9_-]{{1,1400}})(?:\.({FORMER.pattern}))?"
)


@dataclass(frozen=True, slots=True)
class PendingLogin:
    """A login that a browser has begun."""

    secret: str = field(repr=False)
    started_at: int
    """Milliseconds since 1970."""
    page: str
    """Where the reader wants to go; matches `PAGE`."""
    former: str = field(default="", repr=False)
    """The session that the browser has so far; see `former_session`."""

    @property
    def state(self) -> str:
        """What the issuer sends back (RFC 6749, section 4.1.1)."""
        return self._derived("state")

    @property
    def nonce(self) -> str:
        """What the ID token has."""
        return self._derived("nonce")

    @property
    def verifier(self) -> str:
        """What the token endpoint gets, to prove who began the login (RFC 7636, section 4.1)."""
        return self._derived("verifier")

    @property
    def challenge(self) -> str:
        """The hash of the verifier, by the method S256."""
        return _base64(sha256(self.verifier.encode()).digest())

    def is_answered_by(self, state: str) -> bool:
        """Returns whether an answer is one to this login. Its time does not depend on the state."""
        return hmac.compare_digest(self.state.encode(), state.encode())

    def has_ended(self, now: int) -> bool:
        """Returns whether it has taken too long."""
        return now - self.started_at > SECONDS * 1000

    def _derived(self, purpose: str) -> str:
        text = f"{purpose} {self.started_at} {self.page} {self.former}"
        return _base64(hmac.digest(self.secret.encode(), text.encode(), "sha256"))


def begin(now: int, page: str, former: str) -> PendingLogin:
    """Begins a login at a time in milliseconds since 1970, in a browser with or without a session."""
    return PendingLogin(token_urlsafe(32), now, page, former)


def is_page(text: str) -> bool:
    """Returns whether a text is a page of this server."""
    return len(text) <= MOST_PAGE and PAGE.fullmatch(text) is not None


def keep(response: Response, login: PendingLogin, *, https: bool) -> None:
    """Gives a login to the browser."""
    text = f"{login.secret}.{login.started_at}.{_base64(login.page.encode())}"
    text += f".{login.former}" if login.former else ""
    _COOKIE.keep(response, text, SECONDS, https=https)


def kept(request: Request, *, https: bool) -> PendingLogin | None:
    """Returns the login that the browser has begun; None if there is none."""
    match = _CONTENT.fullmatch(_COOKIE.read(request, https=https))
    if match is None:
        return None
    secret, started_at, encoded, former = match.group(1, 2, 3, 4)
    try:
        page = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    except ValueError:
        return None
    return PendingLogin(secret, int(started_at), page, former or "") if is_page(page) else None


def forget(response: Response, *, https: bool) -> None:
    """Removes the login from the browser."""
    _COOKIE.delete(response, https=https)


def _base64(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")
