"""Cookies that only the API reads: scripts cannot, and by https no other host can set them."""

import logging
from collections.abc import Iterator
from typing import Literal, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

log = logging.getLogger(__name__)


class BrowserCookie(NamedTuple):
    """A cookie of the API. By https its name has a prefix.

    Browsers accept a cookie with the prefix only by https, from the host itself
    (https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis, 4.1.3).
    """

    name: str
    same_site: Literal["lax", "strict"]

    def keep(self, response: Response, text: str, seconds: int, *, https: bool) -> None:
        """Gives the browser a text for some seconds."""
        response.set_cookie(
            self.sent_name(https=https),
            text,
            seconds,
            path="/",
            secure=https,
            httponly=True,
            samesite=self.same_site,
        )

    def delete(self, response: Response, *, https: bool) -> None:
        """Removes the cookie from the browser."""
        response.delete_cookie(
            self.sent_name(https=https), path="/", secure=https, httponly=True, samesite=self.same_site
        )

    def read(self, request: Request, *, https: bool) -> str:
        """Returns the text in the cookie; empty if there is none, or more than one.

        Of two cookies with one name, one may come from another service on this host. Their order does not
        tell which one.
        """
        name = self.sent_name(https=https)
        found = [text for sent, text in _cookies(request) if sent == name]
        if len(found) > 1:
            log.info("a request has the cookie %s more than once", name, extra={"action": "cookie_refused"})
        return found[0] if len(found) == 1 else ""

    def sent_name(self, *, https: bool) -> str:
        """Returns the name that the browser knows."""
        return f"__Host-{self.name}" if https else self.name


def _cookies(request: Request) -> Iterator[tuple[str, str]]:
    """Returns the names and texts of the cookies, exactly as the browser knows them.

    `request.cookies` also takes off blanks that browsers take for a part of a name, such as U+00A0. So a name
    that browsers do not protect would become one with the prefix.
    """
    for header in request.headers.getlist("cookie"):
        for cookie in header.split(";"):
            name, _, text = cookie.strip(" \t").partition("=")
            yield name, text
