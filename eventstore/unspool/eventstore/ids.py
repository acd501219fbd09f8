"""Ids that sort by creation time (ULID, https://github.com/ulid/spec), and the syntax of ids."""

import hashlib
import os
import re
from typing import Final

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

EXECUTION_ID: Final = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9_.-]{1,128}")
"""Syntax of an execution id: safe in keys, paths, URLs and logs."""

_NAME: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"

NAME: Final = re.compile(_NAME)
"""A definition's namespace or name (inventory A2)."""

STORED_ID: Final = re.compile(rf"{EXECUTION_ID.pattern}|\$schedule\.{_NAME}\.{_NAME}")
"""Syntax of an id in a store: of an execution, or of a schedule, which callers cannot choose."""

TENANT: Final = re.compile(r"[A-Za-z0-9_-]{1,63}")


def new_id(now: int) -> str:
    """A new ULID for the time `now`, in milliseconds since 1970."""
    return _ulid(now, os.urandom(10))


def derived_id(now: int, seed: str) -> str:
    """The ULID for a time and a text: the same for the same arguments."""
    return _ulid(now, hashlib.blake2b(seed.encode(), digest_size=10).digest())


def _ulid(now: int, rest: bytes) -> str:
    value = (now & (1 << 48) - 1) << 80 | int.from_bytes(rest)
    return "".join(_ALPHABET[value >> shift & 31] for shift in range(125, -1, -5))


def workflow_name(text: str) -> tuple[str, str] | None:
    """`NAMESPACE/NAME` as its two parts; None if the text has another form."""
    namespace, _, name = text.partition("/")
    return (namespace, name) if NAME.fullmatch(namespace) and NAME.fullmatch(name) else None
