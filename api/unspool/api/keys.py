"""API keys: create, list and revoke them. A caller of one tenant sees only the keys of its tenant."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from starlette.responses import Response

from unspool.api.bodies import read_json
from unspool.api.calls import Call, json_response
from unspool.api.key_records import NewKey, key_json, new_key
from unspool.api.problems import HttpProblem
from unspool.definitions.json_value import Json
from unspool.eventstore import ids
from unspool.eventstore.api_keys import KEY_ID, KEY_NAME, ApiKey, Scope

log = logging.getLogger(__name__)

_MEMBERS: Final = frozenset({"name", "scopes", "tenant", "expiresAt"})


async def list_keys(call: Call) -> Response:
    """Lists the keys, the oldest first, without their secrets."""
    own = call.caller.tenant
    found = [key for key in await call.store.api_keys() if own in (None, key.tenant)]
    return json_response({"items": [key_json(key) for key in found]})


async def create(call: Call) -> Response:
    """Creates a key. Only this answer has its secret."""
    settings = call.services.settings
    body = await read_json(call.request, settings.max_input_bytes, settings.body_seconds)
    made = _new_key(call, body)
    await call.store.put_api_key(made.key)
    _log(call, "created", made.key)
    return json_response(made.json(), 201, {"Location": f"/api/v1/keys/{made.key.id}"})


async def revoke(call: Call) -> Response:
    """Revokes a key. API processes that remember it refuse it some seconds later."""
    id_ = call.request.path_params["id"]
    key = await call.store.api_key(id_) if KEY_ID.fullmatch(id_) else None
    if (
        key is None
        or call.caller.tenant not in (None, key.tenant)
        or not await call.store.delete_api_key(id_)
    ):
        raise HttpProblem(404, "there is no key with that id")
    call.services.authenticator.cache.forget(id_)
    _log(call, "revoked", key)
    return Response(status_code=204)


def _log(call: Call, operation: str, key: ApiKey) -> None:
    extra = {"action": f"key_{operation}", "key": key.id, "by": call.caller.name, "tenant": key.tenant}
    log.info("key %s (%s) was %s by %s", key.id, key.name, operation, call.caller.name, extra=extra)


def _new_key(call: Call, body: Json) -> NewKey:
    if not isinstance(body, dict):
        raise HttpProblem(422, 'the body must be an object such as {"name": "ci", "scopes": ["start"]}')
    if unknown := sorted(body.keys() - _MEMBERS):
        raise HttpProblem(422, f"unknown member {unknown[0][:80]!r}; known are {', '.join(sorted(_MEMBERS))}")
    name, now = body.get("name"), call.services.clock.now()
    if not (isinstance(name, str) and KEY_NAME.fullmatch(name)):
        raise HttpProblem(422, f"name must be a string that matches {KEY_NAME.pattern}")
    return new_key(
        name,
        _tenant(call, body.get("tenant", call.tenant)),
        _scopes(body.get("scopes")),
        now=now,
        expires_at=_expiry(body.get("expiresAt"), now),
        created_by=call.caller.name,
    )


def _tenant(call: Call, tenant: Json) -> str | None:
    if tenant is not None and not (isinstance(tenant, str) and ids.TENANT.fullmatch(tenant)):
        raise HttpProblem(422, f"tenant must match {ids.TENANT.pattern}, or be null for all tenants")
    if call.caller.tenant not in (None, tenant):
        raise HttpProblem(403, "a key of one tenant creates keys of that tenant only")
    return tenant


def _scopes(names: Json) -> tuple[Scope, ...]:
    known = set(Scope)
    if not (isinstance(names, list) and names and all(isinstance(n, str) and n in known for n in names)):
        raise HttpProblem(422, f"scopes must be a list of one or more of {', '.join(Scope)}")
    return tuple(scope for scope in Scope if scope in names)


def _expiry(text: Any, now: int) -> int | None:
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise HttpProblem(422, "expiresAt must be a time such as 2027-01-31T12:00:00Z") from None
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    expires_at = (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    if expires_at <= now:
        raise HttpProblem(422, "expiresAt must be in the future")
    return expires_at
