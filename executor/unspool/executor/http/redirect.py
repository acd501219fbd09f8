"""Builds the request that a redirect asks for: method, target and headers by RFC 9110, §15.4. Pure."""

from dataclasses import replace
from typing import Final

from multidict import CIMultiDict
from yarl import URL

from unspool.definitions.errors import WorkflowError, communication
from unspool.executor.authentication.credentials import NONE
from unspool.executor.http.request import HttpRequest
from unspool.executor.http.target import joined_url
from unspool.executor.outcome import Rejected

MAX_HOPS: Final = 5

_FOLLOWED: Final = frozenset({301, 302, 303, 307, 308})
_SAFE: Final = frozenset(
    {"accept", "accept-language", "content-language", "content-type", "idempotency-key", "user-agent"}
)
"""The only headers that go to another origin: any other could carry a credential."""


def redirected(request: HttpRequest, status: int, location: str | None) -> HttpRequest | None:
    """The next request, or None when the response is not a redirect.

    Raises:
        Rejected: the target must not be followed.
    """
    if status not in _FOLLOWED or location is None:
        return None
    target = _target(request, status, location)
    following = replace(request, url=target)
    if target.origin() != request.url.origin():
        headers = CIMultiDict(
            (name, value) for name, value in request.headers.items() if name.lower() in _SAFE
        )
        following = replace(following, headers=headers, credentials=NONE)
    if not _becomes_get(request.method, status):
        return following
    headers = CIMultiDict(
        (name, value) for name, value in following.headers.items() if not name.lower().startswith("content-")
    )
    return replace(following, method="GET", headers=headers, body=None)


def _target(request: HttpRequest, status: int, location: str) -> URL:
    try:
        target = joined_url(request.url, location)
        followable = target.scheme in {"http", "https"}
    except ValueError:
        followable = False
    if not followable:
        raise Rejected(_refused(request, status, "to something that is not an http or https URL"))
    if request.url.scheme == "https" and target.scheme == "http":
        raise Rejected(_refused(request, status, "from https to http"))
    return target.with_user(None)


def _refused(request: HttpRequest, status: int, how: str) -> WorkflowError:
    return communication(f"{request.label} redirects {how}", title="Redirect refused", status=status)


def _becomes_get(method: str, status: int) -> bool:
    if status == 303:
        return method != "HEAD"
    return status in {301, 302} and method == "POST"
