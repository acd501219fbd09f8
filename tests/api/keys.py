"""Keys for tests of an API with authentication."""

from typing import Any

from unspool.api.authentication.settings import AuthenticationSettings
from unspool.api.key_records import new_key
from unspool.eventstore.api_keys import Scope
from unspool.eventstore.port import EventStore

ON = AuthenticationSettings(mode="on", cache_seconds=0.0)
"""Authentication is on, and a revoked key is refused at once."""


async def key_for(store: EventStore, *scopes: str, tenant: str | None = "default", **changes: Any) -> str:
    """Stores a key and returns it as a caller sends it."""
    values = {"now": 1_000, "expires_at": None, "created_by": "cli:test"} | changes
    made = new_key(values.pop("name", "test"), tenant, tuple(map(Scope, scopes)), **values)
    await store.put_api_key(made.key)
    return made.credential.text()


def bearer(key: str) -> dict[str, str]:
    """Returns the headers of a caller with a key."""
    return {"Authorization": f"Bearer {key}"}
