"""The login of a browser: exchanges a key or a JWT for a cookie."""

from starlette.responses import Response

from unspool.api.authentication.caller import Caller
from unspool.api.authentication.cookies import csrf_token, delete_cookie, set_cookie
from unspool.api.bodies import read_json
from unspool.api.calls import Call, json_response
from unspool.api.problems import HttpProblem
from unspool.definitions.json_value import Json
from unspool.eventstore.api_keys import Scope, Session, new_credential, sha256_of_secret
from unspool.eventstore.clock import rfc3339


async def show(call: Call) -> Response:
    """Returns who the caller is."""
    return json_response(_caller_json(call, call.caller, call.caller.csrf))


async def log_in(call: Call) -> Response:
    """Starts a session. The cookie has its secret; the answer has the token for unsafe requests."""
    authenticator, now = call.services.authenticator, call.services.clock.now()
    if not authenticator.settings.on:
        raise HttpProblem(409, "authentication is off: every request is accepted without a session")
    caller = await authenticator.caller_of_token(call.request, await _token(call))
    seconds = authenticator.settings.session_seconds
    if caller.expires_at is not None:
        seconds = max(1, min(seconds, (caller.expires_at - now) // 1000))
    credential = new_credential()
    session = Session(
        credential.id,
        sha256_of_secret(credential.secret),
        caller.name,
        caller.tenant,
        tuple(scope for scope in Scope if scope in caller.scopes),
        now + seconds * 1000,
        caller.key,
    )
    await call.store.put_session(session)
    answer = json_response(_caller_json(call, caller, csrf_token(credential), session.expires_at), 201)
    set_cookie(answer, credential, seconds, https=authenticator.is_https(call.request))
    return answer


async def log_out(call: Call) -> Response:
    """Ends the session of the cookie."""
    if call.caller.session is None:
        raise HttpProblem(409, "this request has no session")
    await call.store.delete_session(call.caller.session)
    answer = Response(status_code=204)
    delete_cookie(answer, https=call.services.authenticator.is_https(call.request))
    return answer


async def _token(call: Call) -> str:
    settings = call.services.settings
    body = await read_json(call.request, settings.max_input_bytes, settings.body_seconds)
    if not (isinstance(body, dict) and body.keys() == {"token"} and isinstance(body["token"], str)):
        raise HttpProblem(422, 'the body must be {"token": "…"}, with an API key or a JWT')
    return body["token"]


def _caller_json(
    call: Call, caller: Caller, csrf: str | None, expires_at: int | None = None
) -> dict[str, Json]:
    ends = expires_at or caller.expires_at
    return {
        "name": caller.name,
        "scopes": [scope for scope in Scope if scope in caller.scopes],
        "tenant": caller.tenant,
        "authentication": call.services.authenticator.settings.on,
        "csrf": csrf,
        "expiresAt": None if ends is None else rfc3339(ends),
    }
