"""The credentials of the policies `oauth2` and `oidc`: a bearer token, replaced once if it is refused."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from unspool.definitions.errors import communication
from unspool.executor.authentication.credentials import Sending
from unspool.executor.authentication.token import Token
from unspool.executor.authentication.token_cache import TokenCache
from unspool.executor.authentication.token_endpoint import TokenEndpoints
from unspool.executor.authentication.token_policy import TokenPolicy
from unspool.executor.masking import learn
from unspool.executor.outbound import Outbound
from unspool.executor.outcome import Rejected

TOKEN_SECONDS: Final = 30.0
"""Longest time to get a token."""


class Tokens:
    """Gets tokens and keeps them, for all calls of an executor."""

    def __init__(self, outbound: Outbound) -> None:
        self._endpoints = TokenEndpoints(outbound)
        self._cache = TokenCache()

    async def get(self, policy: TokenPolicy, refused: Token | None = None) -> Token:
        """A token of a policy, masked from now on in what the task returns. Raises `Rejected`."""
        token = await self._cache.get(policy.key, partial(self._new, policy), refused)
        learn(token.mask)
        return token

    async def close(self) -> None:
        """Ends requests that nothing waits for any more."""
        await self._cache.close()

    async def _new(self, policy: TokenPolicy, refresh_token: str | None) -> Token:
        try:
            async with asyncio.timeout(TOKEN_SECONDS):
                return await self._endpoints.token(policy, refresh_token)
        except TimeoutError:
            address = policy.endpoint or policy.discovery
            assert address is not None  # a policy has one of both
            detail = f"{address.origin()}{address.path} gave no token within {TOKEN_SECONDS:g} s"
            raise Rejected(communication(detail, title="No token")) from None


@dataclass(slots=True)
class TokenCredentials:
    """The credentials of a call. Its header is the same until a service refuses it."""

    policy: TokenPolicy
    tokens: Tokens
    _sent: Token | None = field(default=None, init=False)
    _renewed: bool = field(default=False, init=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """See `Credentials`."""
        return self.policy.secrets

    async def header(self, _: Sending) -> str | None:
        """See `Credentials`."""
        self._sent = await self.tokens.get(self.policy)
        return f"Bearer {self._sent.value}"

    async def renewed(self, _: Sending, __: Sequence[str]) -> str | None:
        """Another token, once in a call: the service may have revoked the last one. See `Credentials`."""
        if self._renewed:
            return None
        self._renewed = True
        self._sent = await self.tokens.get(self.policy, refused=self._sent)
        return f"Bearer {self._sent.value}"
