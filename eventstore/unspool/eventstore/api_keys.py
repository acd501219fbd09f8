"""Keys and sessions of the API's callers. A part of the port.

A key is `usk_<id>_<secret>`. The secret has 256 random bits; the store has only its SHA-256, which is enough
for a secret that cannot be guessed. The id is public: lists show it.
"""

import hashlib
import os
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from enum import StrEnum
from hmac import compare_digest
from typing import Final, NamedTuple, Protocol

KEY_ID: Final = re.compile(r"[0-9a-f]{16}")

KEY_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,62}")
"""Syntax of a key's name: safe in histories, logs and headers."""

_TOKEN: Final = re.compile(rf"usk_({KEY_ID.pattern})_([A-Za-z0-9_-]{{43}})")

_SECRET_BYTES: Final = 32


class Scope(StrEnum):
    """What a caller may do."""

    READ = "read"
    """Read definitions, executions, histories, events, schedules and dead letters."""
    START = "start"
    """Start executions and publish events."""
    OPERATE = "operate"
    """`read`, `start`, and change what runs: cancel, retry, pause, requeue …"""
    ADMIN = "admin"
    """Everything: also deploy definitions, and create and revoke keys."""


_INCLUDED: Final = {
    Scope.READ: frozenset({Scope.READ}),
    Scope.START: frozenset({Scope.START}),
    Scope.OPERATE: frozenset({Scope.READ, Scope.START, Scope.OPERATE}),
    Scope.ADMIN: frozenset(Scope),
}


def with_included(scopes: Iterable[Scope]) -> frozenset[Scope]:
    """Returns scopes with those that they include."""
    return frozenset(included for scope in scopes for included in _INCLUDED[scope])


class ApiKey(NamedTuple):
    """A key, without its secret."""

    id: str
    name: str
    tenant: str | None
    """The tenant that it belongs to; None if it may act in every tenant."""
    scopes: tuple[Scope, ...]
    sha256: str
    """The SHA-256 of the secret, in hexadecimal."""
    created_at: int
    """Milliseconds since 1970."""
    expires_at: int | None = None
    created_by: str = ""

    def is_expired(self, now: int) -> bool:
        """Whether it is no longer accepted at a time in milliseconds since 1970."""
        return self.expires_at is not None and self.expires_at <= now


class Session(NamedTuple):
    """A login of a browser, without its secret. It ends by itself."""

    id: str
    sha256: str
    name: str
    """Who is logged in, as histories show it."""
    tenant: str | None
    scopes: tuple[Scope, ...]
    expires_at: int
    """Milliseconds since 1970."""
    key: str | None = None
    """The id of the key that it was made with: it ends with that key. None if it was made with a JWT."""


class Credential(NamedTuple):
    """The two parts of a text that a caller sends."""

    id: str
    secret: str

    def matches(self, sha256: str) -> bool:
        """Whether this is the secret with a hash. The time of the comparison does not depend on the hash."""
        return compare_digest(sha256_of_secret(self.secret), sha256)

    def text(self) -> str:
        """The credential as a caller sends it."""
        return f"usk_{self.id}_{self.secret}"


class ApiKeys(Protocol):
    """The keys of the store, and the sessions that were made with them."""

    async def put_api_key(self, key: ApiKey) -> None:
        """Stores a new key."""

    async def api_key(self, id: str) -> ApiKey | None:  # noqa: A002 - the contract's name
        """The key with this id, also if it is expired."""

    async def api_keys(self) -> list[ApiKey]:
        """The keys of all tenants, also those that are expired, the oldest first."""

    async def delete_api_key(self, id: str) -> bool:  # noqa: A002 - the contract's name
        """Deletes a key; False if there is none."""

    async def put_session(self, session: Session) -> None:
        """Stores a session. It is gone some time after it ends, without another call."""

    async def session(self, id: str) -> Session | None:  # noqa: A002 - the contract's name
        """The session with this id, if it has not ended."""

    async def sessions(self) -> list[Session]:
        """The sessions of all tenants that have not ended; those that end first before the others."""

    async def delete_session(self, id: str) -> None:  # noqa: A002 - the contract's name
        """Deletes a session. Idempotent."""


def new_credential() -> Credential:
    """Makes a random credential. Its secret exists only in the result."""
    secret = urlsafe_b64encode(os.urandom(_SECRET_BYTES)).decode().rstrip("=")
    return Credential(os.urandom(8).hex(), secret)


def parse_credential(text: str) -> Credential | None:
    """Reads what a caller sends; None if it cannot be a key."""
    match = _TOKEN.fullmatch(text)
    return match and Credential(*match.groups())


def sha256_of_secret(secret: str) -> str:
    """The hash of a secret, as the store has it."""
    return hashlib.sha256(secret.encode()).hexdigest()
