"""Writes bodies of the type `multipart/form-data` (RFC 7578). Pure."""

import hashlib
from collections.abc import Sequence
from typing import Final, NamedTuple

_ESCAPES: Final = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})
"""As browsers write names (HTML, "Multipart form data")."""


class Part(NamedTuple):
    """One part."""

    name: str
    content: bytes
    media_type: str
    is_file: bool = False
    """Whether it has a file name, which is its name."""


def multipart(parts: Sequence[Part]) -> tuple[str, bytes]:
    """The content type and the body."""
    # No content can have the boundary, because the boundary depends on all of it.
    boundary = hashlib.sha256(b"\0".join(part.content for part in parts)).hexdigest()[:40]
    lines = []
    for part in parts:
        name = part.name.translate(_ESCAPES)
        file = f'; filename="{name}"' if part.is_file else ""
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n'
            f"Content-Type: {part.media_type.translate(_ESCAPES)}\r\n\r\n"
        )
        lines.append(head.encode() + part.content)
    body = b"".join(line + b"\r\n" for line in lines) + f"--{boundary}--\r\n".encode()
    return f"multipart/form-data; boundary={boundary}", body
