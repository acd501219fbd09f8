"""Builds URLs that are sent unchanged: percent-encoded characters stay percent-encoded. Pure.

`yarl.URL(text)` decodes some characters, such as `%26` in a path, which changes the meaning of values that a
URI template has encoded. These functions encode what a URI cannot contain, and decode nothing.
"""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, urlencode, urljoin, urlsplit

from yarl import URL

_STRAY_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_IN_PATH: Final = "/%:@!$&'()*+,;=-._~"
_IN_QUERY: Final = _IN_PATH + "?"


def exact_url(text: str) -> URL:
    """The URL without its fragment.

    Characters that RFC 3986 does not allow are percent-encoded as UTF-8, a `%` that does not begin an encoded
    character is encoded as `%25`, and host names by IDNA. Dot segments are removed.

    Raises:
        ValueError: the text is not a URL with a host.
    """
    try:
        url, parts = URL(text), urlsplit(text)
    except IndexError:  # yarl, for brackets and an empty host, as in "http://[::1]@"
        raise ValueError("the URL has no host") from None
    if not url.absolute or not (url.host or "").strip("."):  # yarl removes dots at the end of a host
        raise ValueError("the URL has no host")
    path = _encoded(_without_dot_segments(parts.path), _IN_PATH) or "/"
    return _combined(url, path, _encoded(parts.query, _IN_QUERY))


def with_parameters(url: URL, parameters: Iterable[tuple[str, str]]) -> URL:
    """The URL with more query parameters, whose reserved characters are all encoded."""
    added = urlencode(list(parameters), quote_via=quote, safe="")
    query = "&".join(part for part in (url.raw_query_string, added) if part)
    return _combined(url, url.raw_path, query)


def joined_path(base: URL, path: str) -> URL:
    """The URL with a further path, which may have a query; without one, the query of `base` is kept."""
    added, _, query = path.partition("?")
    added = _encoded(_without_dot_segments(f"/{added.lstrip('/')}"), _IN_PATH)
    query = _encoded(query, _IN_QUERY) or base.raw_query_string
    return _combined(base, base.raw_path.rstrip("/") + added, query)


def joined_url(base: URL, reference: str) -> URL:
    """The URL of a reference, such as a `Location` header, relative to `base`.

    Raises:
        ValueError: it is not a URL with a host.
    """
    return exact_url(urljoin(str(base), reference))


def _combined(url: URL, path: str, query: str) -> URL:
    user = f"{url.raw_user or ''}:{url.raw_password or ''}@" if url.user or url.password else ""
    origin = f"{url.scheme}://{user}{url.host_port_subcomponent}"
    return URL(f"{origin}{path}?{query}" if query else f"{origin}{path}", encoded=True)


def _encoded(text: str, safe: str) -> str:
    return quote(_STRAY_PERCENT.sub("%25", text), safe=safe, errors="surrogateescape")


def _without_dot_segments(path: str) -> str:
    """The path by RFC 3986, §5.2.4."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[max(1, len(kept) - 1) :]
        elif segment != ".":
            kept.append(segment)
    if path.endswith(("/.", "/..")):
        kept.append("")
    return "/".join(kept)
