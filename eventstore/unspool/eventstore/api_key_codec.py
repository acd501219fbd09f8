"""Keys and sessions as JSON, as every adapter stores them. A new member needs a default, for old records."""

from typing import Any

import orjson

from unspool.eventstore.api_keys import ApiKey, Scope, Session


def encode_key(key: ApiKey) -> bytes:
    """A key as JSON."""
    return orjson.dumps(key._asdict())


def decode_key(stored: bytes) -> ApiKey:
    """The key in a JSON text."""
    return ApiKey(**_with_scopes(orjson.loads(stored)))


def encode_session(session: Session) -> bytes:
    """A session as JSON."""
    return orjson.dumps(session._asdict())


def decode_session(stored: bytes) -> Session:
    """The session in a JSON text."""
    return Session(**_with_scopes(orjson.loads(stored)))


def _with_scopes(record: dict[str, Any]) -> dict[str, Any]:
    return {**record, "scopes": tuple(Scope(scope) for scope in record["scopes"])}
