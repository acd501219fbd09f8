"""Cookies that only the API reads: scripts cannot, and by https no other host can set them."""

from typing import Literal, NamedTuple

from starlette.requests import Request
from starlette.responses import Response


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
        """Returns the text in the cookie; empty if there is none."""
        return request.cookies.get(self.sent_name(https=https), "")

    def sent_name(self, *, https: bool) -> str:
        """Returns the name that the browser knows."""
        return f"__Host-{self.name}" if https else self.name
