"""The form of URLs that the API fetches, or to which it sends browsers."""

import re
from typing import Final
from urllib.parse import urlsplit

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})

_TEXT: Final = re.compile(r"[!-~]{1,2048}")
"""Visible ASCII characters (RFC 3986 allows some of them), so that no part of a header ends."""


def fault_of_url(url: object) -> str:
    """Returns what is wrong with a URL, as the end of a sentence that begins with its name; empty if nothing.

    A machine on the way cannot replace what is fetched by https, or by http on this machine.
    """
    if not isinstance(url, str):
        return "must be a text with an https URL"
    shown = "" if "@" in url else f", not {url[:200]!r}"  # a user may have a password
    if not _TEXT.fullmatch(url):
        return f"must be an https URL without blanks and of at most 2048 characters{shown}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return f"must be an https URL{shown}"
    if "@" in parts.netloc:
        return "must not have a user or a password"
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)
    if not (is_safe and host) or port == 0:
        return f"must be an https URL{shown}"
    return "must not have a fragment (#)" if "#" in url else ""
