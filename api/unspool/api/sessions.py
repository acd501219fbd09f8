"""The sessions of browsers: exchanges a key, a JWT or a login at the issuer for a cookie."""

from typing import NamedTuple

from starlette.responses import Response

from unspool.api.authentication.caller import Caller
from unspool.api.authentication.cookies import SESSION, csrf_token, is_own_origin
from unspool.api.authentication.former_session import end_former, former_session
from unspool.api.bodies import read_json
from unspool.api.calls import Call, json_response
from unspool.api.problems import HttpProblem
from unspool.definitions.json_value import Json
from unspool.eventstore.api_keys import Credential, Scope, Session, new_credential, sha256_of_secret
from unspool.eventstore.clock import rfc3339


class _NewSession(NamedTuple):
    """A session that the store has, with its secret for the browser."""

    credential: Credential
    seconds: int
    expires_at: int
    """Milliseconds since 1970."""


async def show(call: Call) -> Response:
    """Returns who the caller is."""
    return json_response(_caller_json(call, call.caller, call.caller.csrf))


async def log_in(call: Call) -> Response:
    """Starts a session. The cookie has its secret; the answer has the token for unsafe requests."""
    authenticator = call.services.authenticator
    _check_origin(call)
    if not authenticator.settings.on:
        raise HttpProblem(409, "authentication is off: every request is accepted without a session")
    caller = await authenticator.caller_of_token(call.request, await _token(call))
    former = former_session(call.request, https=authenticator.is_https(call.request))
    made = await _stored(call, caller, former)
    answer = json_response(_caller_json(call, caller, csrf_token(made.credential), made.expires_at), 201)
    _set_cookie(call, answer, made)
    return answer


def _check_origin(call: Call) -> None:
    """Refuses pages of other sites, also of those that may call the API: they could log in their visitors."""
    https = call.services.authenticator.is_https(call.request)
    if "origin" in call.request.headers and not is_own_origin(call.request, https=https):
        raise HttpProblem(403, "only a page of this API can log a browser in")


async def start_session(call: Call, caller: Caller, answer: Response, former: str) -> None:
    """Starts a session of a caller, with its cookie in an answer, and ends the former one of the browser."""
    _set_cookie(call, answer, await _stored(call, caller, former))


async def log_out(call: Call) -> Response:
    """Ends the session of the cookie."""
    if call.caller.session is None:
        raise HttpProblem(409, "this request has no session")
    await call.store.delete_session(call.caller.session)
    answer = Response(status_code=204)
    SESSION.delete(answer, https=call.services.authenticator.is_https(call.request))
    return answer


async def _stored(call: Call, caller: Caller, former: str) -> _NewSession:
    """Stores a session, and ends the former one. It ends with the credential of the caller at the latest."""
    seconds, now = call.services.authenticator.settings.session_seconds, call.services.clock.now()
    if caller.expires_at is not None:
        seconds = max(1, min(seconds, (caller.expires_at - now) // 1000))
    made = _NewSession(new_credential(), seconds, now + seconds * 1000)
    session = Session(
        made.credential.id,
        sha256_of_secret(made.credential.secret),
        caller.name,
        caller.tenant,
        tuple(scope for scope in Scope if scope in caller.scopes),
        made.expires_at,
        caller.key,
    )
    await call.store.put_session(session)
    await end_former(call.store, former)
    return made


def _set_cookie(call: Call, answer: Response, made: _NewSession) -> None:
    https = call.services.authenticator.is_https(call.request)
    SESSION.keep(answer, made.credential.text(), made.seconds, https=https)


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
