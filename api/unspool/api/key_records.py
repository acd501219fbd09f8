"""New API keys, and keys as JSON, for API and CLI."""

from typing import NamedTuple

from unspool.definitions.json_value import Json
from unspool.eventstore.api_keys import ApiKey, Credential, Scope, new_credential, sha256_of_secret
from unspool.eventstore.clock import rfc3339


class NewKey(NamedTuple):
    """A key with its secret, which nothing shows again."""

    key: ApiKey
    credential: Credential

    def json(self) -> dict[str, Json]:
        """Returns the key as its creator sees it, once."""
        return {**key_json(self.key), "key": self.credential.text()}


def new_key(
    name: str,
    tenant: str | None,
    scopes: tuple[Scope, ...],
    *,
    now: int,
    expires_at: int | None,
    created_by: str,
) -> NewKey:
    """Makes a key; it is not stored yet. Times are milliseconds since 1970."""
    credential = new_credential()
    sha256 = sha256_of_secret(credential.secret)
    key = ApiKey(credential.id, name, tenant, scopes, sha256, now, expires_at, created_by)
    return NewKey(key, credential)


def key_json(key: ApiKey) -> dict[str, Json]:
    """Returns a key without its secret. A `tenant` of null means all tenants."""
    return {
        "id": key.id,
        "name": key.name,
        "tenant": key.tenant,
        "scopes": list(key.scopes),
        "createdAt": rfc3339(key.created_at),
        "createdBy": key.created_by or None,
        "expiresAt": None if key.expires_at is None else rfc3339(key.expires_at),
    }
