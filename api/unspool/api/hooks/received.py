"""What a service sent to a webhook."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

MAX_HEADER_BYTES: Final = 4096
"""Bytes of a header that a webhook reads."""

HEADER_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""The name of a header that a configuration names."""


class BadHeader(ValueError):
    """A header cannot be read: it was sent twice, is too long, or is not UTF-8. The message says which."""


@dataclass(frozen=True, slots=True)
class Received:
    """A request to a webhook."""

    headers: Sequence[tuple[bytes, bytes]]
    """Names in lower case, and values, as they were sent."""
    body: bytes
    at: int
    """When it was received, in milliseconds since 1970."""

    def header(self, name: str) -> bytes | None:
        """Returns the value of a header, whose name is in lower case; None if it is absent.

        A header that was sent twice has no value: proxies and services differ in which one they read.

        Raises:
            BadHeader: the header was sent twice, or is too long.
        """
        wanted = name.encode()
        values = [value for key, value in self.headers if key == wanted]
        if len(values) > 1:
            raise BadHeader(f"the header {name} was sent twice")
        if values and len(values[0]) > MAX_HEADER_BYTES:
            raise BadHeader(f"the header {name} is longer than {MAX_HEADER_BYTES} bytes")
        return values[0].strip(b" \t") if values else None

    def header_text(self, name: str) -> str | None:
        """Returns the value of a header as text; None if it is absent or empty.

        Raises:
            BadHeader: see `header`; or the value is not UTF-8.
        """
        value = self.header(name)
        try:
            return value.decode() if value else None
        except UnicodeDecodeError:
            raise BadHeader(f"the header {name} is not UTF-8") from None
