"""Gets tokens from token endpoints, whose addresses may come from the configuration of a provider."""

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import orjson
from multidict import CIMultiDict
from yarl import URL

from unspool.definitions.errors import authentication, communication
from unspool.definitions.json_value import Json
from unspool.executor.authentication.client_assertion import client_assertion
from unspool.executor.authentication.token import Token, read_token, token_error
from unspool.executor.authentication.token_policy import REFRESH_TOKEN, TokenPolicy
from unspool.executor.authentication.token_request import token_request
from unspool.executor.http.client import HttpClient, is_success
from unspool.executor.http.request import HttpRequest
from unspool.executor.http.retry_after import with_retry_after
from unspool.executor.http.target import exact_url
from unspool.executor.outbound import Outbound
from unspool.executor.outcome import Rejected

CONFIGURATION_SECONDS: Final = 600.0
"""How long the configuration of a provider is used."""

_MOST_BYTES: Final = 256 * 1024
_MOST_CONFIGURATIONS: Final = 1000


class TokenEndpoints:
    """Requests tokens. Redirects are not followed."""

    def __init__(self, outbound: Outbound, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._client = HttpClient(outbound, _MOST_BYTES)
        self._monotonic = monotonic
        self._configured: OrderedDict[URL, tuple[float, URL]] = OrderedDict()

    async def token(self, policy: TokenPolicy, refresh_token: str | None) -> Token:
        """A new token.

        Args:
            policy: says how.
            refresh_token: of the last token, if it had one. If it is refused, the policy's grant is used.

        Raises:
            Rejected: there is no token.
        """
        endpoint = policy.endpoint or await self._endpoint(policy)
        if refresh_token is not None:
            answer = await self._answer(policy, endpoint, refresh_token)
            if not isinstance(answer, Rejected):
                return self._read(policy, endpoint, answer, refresh_token)
        answer = await self._answer(policy, endpoint, None)
        if isinstance(answer, Rejected):
            raise answer
        written = policy.subject.token if policy.subject and policy.grant == REFRESH_TOKEN else None
        return self._read(policy, endpoint, answer, written)

    def _read(self, policy: TokenPolicy, endpoint: URL, answer: Json, refresh_token: str | None) -> Token:
        """The token; a refresh token stays valid if the answer has no other one (RFC 6749, 6)."""
        if isinstance(answer, dict) and refresh_token is not None:
            answer = {"refresh_token": refresh_token, **answer}
        return read_token(answer, self._monotonic(), time.time(), policy.issuers, _label(endpoint))

    async def _answer(self, policy: TokenPolicy, endpoint: URL, refresh_token: str | None) -> Json | Rejected:
        """The answer with a token, or the error. Raises `Rejected` if there is no response."""
        id_, now = secrets.token_urlsafe(16), int(time.time())
        assertion = client_assertion(policy.client, str(endpoint), now=now, id_=id_)
        request = token_request(policy, endpoint, assertion=assertion, refresh_token=refresh_token)
        response = await self._client.send(request)
        answer = _parsed(response.body)
        refused = isinstance(answer, dict) and "error" in answer and "access_token" not in answer
        if not is_success(response.status, redirect=False) or refused:
            error = token_error(_label(request.url), response.status, answer, request.secrets)
            return Rejected(with_retry_after(error, response.headers, datetime.now(UTC)))
        return answer

    async def _endpoint(self, policy: TokenPolicy) -> URL:
        """The token endpoint in the configuration of the provider (OpenID Connect Discovery 1.0, 4)."""
        assert policy.discovery is not None  # a policy without an endpoint has it
        found = self._configured.get(policy.discovery)
        now = self._monotonic()
        if found is not None and now < found[0]:
            return found[1]
        endpoint = await self._discovered(policy.discovery)
        self._configured[policy.discovery] = now + CONFIGURATION_SECONDS, endpoint
        self._configured.move_to_end(policy.discovery)
        if len(self._configured) > _MOST_CONFIGURATIONS:
            self._configured.popitem(last=False)
        return endpoint

    async def _discovered(self, address: URL) -> URL:
        headers = CIMultiDict({"Accept": "application/json"})
        request = HttpRequest("GET", address, headers, None, "content", redirect=False)
        response = await self._client.send(request)
        if not is_success(response.status, redirect=False):
            detail = f"{request.label}, the configuration of the provider, answered {response.status}"
            error = communication(detail, title="No token", status=response.status)
            raise Rejected(with_retry_after(error, response.headers, datetime.now(UTC)))
        configuration = _parsed(response.body)
        written = configuration.get("token_endpoint") if isinstance(configuration, dict) else None
        try:
            endpoint = exact_url(written if isinstance(written, str) else "")
            usable = endpoint.scheme in ({"https"} if address.scheme == "https" else {"http", "https"})
        except ValueError:
            usable = False
        if not usable or endpoint.user or endpoint.password:
            detail = f"{request.label} has no token endpoint that can be used"
            raise Rejected(authentication(detail, title="No token"))
        return endpoint


def _label(endpoint: URL) -> str:
    return f"the token endpoint {endpoint.origin()}{endpoint.path}"


def _parsed(body: bytes) -> Json:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
