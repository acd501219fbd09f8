"""The forms in which an executor shows a text that is an address, or a part of one. Pure."""

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from yarl import URL

from unspool.executor.http.target import exact_url

_LONGEST: Final = 4096
"""Longer texts are no addresses."""

_NOT_IN_ADDRESS: Final = re.compile(r"[\x00-\x20\x7f]")
_QUERY_OR_FRAGMENT: Final = re.compile(r"[?#]")

_MIN_LENGTH: Final = 8
"""Shorter forms are no secrets: they are words such as `main`, if a secret is `Main`."""

_BEFORE: Final = ("http://", "http://h/")
"""What makes an address of a text that is none: it begins with a host, or is of a path."""


def shown_forms(text: str) -> set[str]:
    """What errors and outputs have in place of an address: it is normalised, without query and fragment.

    A host is in lower case, as IDNA and without the default port; dot segments and user information are
    removed, and characters are encoded or decoded. A text may also be a host or a path alone.
    """
    if len(text) > _LONGEST or _NOT_IN_ADDRESS.search(text):
        return set()
    forms = {_QUERY_OR_FRAGMENT.split(text)[0], text.partition("?")[0], text.partition("#")[0]}
    for before in ("",) if "://" in text else _BEFORE:
        with suppress(ValueError):  # it is no address
            forms.update(_normalised(exact_url(before + text), before))
    return {form for form in forms if len(form) >= _MIN_LENGTH} - {text}


def _normalised(url: URL, before: str) -> Iterator[str]:
    if url.user and not url.password and before:
        return  # an address of e-mail: its host is no secret
    origin = str(url.with_user(None).origin())
    path = url.raw_path
    for address in (str(url.with_user(None)), f"{origin}{path}", f"{origin}{url.path}"):
        yield address.removeprefix(before).rstrip("/")
    if url.password:  # a server may send back what the executor authenticates with
        yield from (url.password, f"{url.user or ''}:{url.password}")
