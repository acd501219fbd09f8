"""Hides the credentials in the headers of a request."""

import re
from collections.abc import Collection, Mapping
from typing import Final

from unspool.executor.masking import HIDDEN

_SECRET_HEADER: Final = re.compile(
    r"authorization|cookie|api-?key|token|secret|password|signature|credential", re.IGNORECASE
)


def redacted(headers: Mapping[str, str], secret: Collection[str] = ()) -> dict[str, str]:
    """The headers, with `***` as the value of those that carry credentials.

    Args:
        headers: of a request.
        secret: further names of headers that carry credentials, in lower case.
    """
    # aiohttp's header names are a subclass of str that JSON encoders refuse.
    return {
        str(name): HIDDEN if _SECRET_HEADER.search(name) or name.lower() in secret else value
        for name, value in headers.items()
    }
