"""The login of a browser at the issuer: sends it there, and starts a session when it comes back.

The answers are redirects. The cookie of the session is `SameSite=Strict`, so the browser does not send it
with the request for the page that follows. That page is the same for all readers; its scripts send the
cookie.
"""

import logging
from typing import Final
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.responses import Response

from unspool.api.authentication import pending_login
from unspool.api.authentication.caller import Caller
from unspool.api.authentication.failure_limit import address_of
from unspool.api.authentication.former_session import former_session
from unspool.api.authentication.issuer_login import IssuerLogin
from unspool.api.authentication.login_refusals import LoginRefused, Refusal, refusal_of
from unspool.api.authentication.pending_login import PendingLogin
from unspool.api.calls import Call
from unspool.api.problems import HttpProblem
from unspool.api.sessions import start_session

log = logging.getLogger(__name__)

CALLBACK: Final = "/api/v1/session/callback"
"""Where the issuer sends the browser back."""

MOST_QUERY: Final = 8192
"""The longest query of an answer in characters."""

MOST_CODE: Final = 4096
"""The longest code in characters. Those of Entra have more than a thousand."""


async def begin(call: Call) -> Response:
    """Sends the browser to the issuer."""
    _check_method(call)
    issuer, page = _issuer(call), call.request.query_params.get("next", "/")
    if not pending_login.is_page(page):
        raise HttpProblem(422, "next must be the path of a page of this server")
    former = former_session(call.request, https=_is_https(call))
    login = pending_login.begin(call.services.clock.now(), page, former)
    try:
        answer = _redirect(await issuer.address(login, _redirect_uri(call)))
    except LoginRefused as refused:
        return _refused(call, refused, page)
    pending_login.keep(answer, login, https=_is_https(call))
    return answer


async def finish(call: Call) -> Response:
    """Starts a session for the person who has logged in, and shows the page that was asked for."""
    _check_method(call)
    issuer, login = _issuer(call), pending_login.kept(call.request, https=_is_https(call))
    if login is None or not login.is_answered_by(_sent(call).get("state", "")):
        # The cookie stays: a page of another site can send its visitors here, too.
        return _refused(call, LoginRefused(Refusal.EXPIRED, "this browser has begun no such login"), "/")
    try:
        caller = await _caller(call, issuer, login)
        answer = _redirect(login.page)
        await start_session(call, caller, answer, login.former)
    except LoginRefused as refused:
        answer = _refused(call, refused, login.page)
        if refused.refusal is Refusal.TOO_MANY:
            return answer  # the code is not used: the same answer can come again
    pending_login.forget(answer, https=_is_https(call))
    return answer


async def _caller(call: Call, issuer: IssuerLogin, login: PendingLogin) -> Caller:
    """Returns who has logged in.

    Raises:
        LoginRefused: the login fails.
    """
    if login.has_ended(call.services.clock.now()):
        raise LoginRefused(Refusal.EXPIRED, "it took too long")
    with issuer.limits.checking(address_of(call.request)):
        return await issuer.caller(login, _redirect_uri(call), _code(call), _sent(call).get("iss"))


def _code(call: Call) -> str:
    """Returns the code in an answer of the issuer.

    Raises:
        LoginRefused: it is an error, or has another form. No parameter may be there twice (RFC 6749, 3.1).
    """
    sent = _sent(call)
    if len(sent.multi_items()) > len(sent):
        raise LoginRefused(Refusal.INVALID, "the answer has a parameter twice")
    error, code = sent.get("error"), sent.get("code", "")
    if error is not None:
        raise refusal_of(error)
    if not 1 <= len(code) <= MOST_CODE:
        raise LoginRefused(Refusal.INVALID, "the answer has no code, or a longer one than any issuer sends")
    return code


def _sent(call: Call) -> QueryParams:
    """Returns the parameters of a request; none if they are longer than any issuer sends."""
    return call.request.query_params if len(call.request.url.query) <= MOST_QUERY else QueryParams()


def _check_method(call: Call) -> None:
    """Refuses `HEAD`, which stands for `GET` elsewhere: it must set no cookie (RFC 9110, section 9.2.1)."""
    if call.request.method != "GET":
        problem = HttpProblem(405, "a browser logs in by GET")
        problem.headers["Allow"] = "GET"
        raise problem


def _issuer(call: Call) -> IssuerLogin:
    """Returns the issuer at which browsers log in.

    Raises:
        HttpProblem: 404, if none is configured.
    """
    login = call.services.authenticator.login
    if login is None:
        raise HttpProblem(404, "this API has no login at an issuer: UNSPOOL_OIDC_CLIENT_ID is not set")
    return login


def _redirect_uri(call: Call) -> str:
    """Returns the address of `CALLBACK` as browsers know it.

    Without the setting, the API accepts few host names, so that of the request is one of them.
    """
    origin = call.services.authenticator.settings.public_url
    if not origin:
        scheme = "https" if _is_https(call) else "http"
        origin = f"{scheme}://{call.request.headers.get('host', '')}"
    return origin + CALLBACK


def _is_https(call: Call) -> bool:
    return call.services.authenticator.is_https(call.request)


def _redirect(address: str) -> Response:
    return Response(status_code=302, headers={"Location": address})


def _refused(call: Call, refused: LoginRefused, page: str) -> Response:
    """Shows the login page with the reason; the log has the cause."""
    level = call.services.authenticator.refusals.level(refused.refusal)
    log.log(level, "a login at the issuer failed: %s", refused, extra={"action": "login_refused"})
    return _redirect(f"/login?{urlencode({'error': refused.refusal.value, 'next': page})}")
