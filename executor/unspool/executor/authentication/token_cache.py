"""Keeps tokens until shortly before they expire. Calls that need the same new token share one request."""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from unspool.executor.authentication.token import Token
from unspool.executor.shared_calls import SharedCalls
from unspool.executor.task_context import current

MOST_TOKENS: Final = 1000
"""Tokens that an executor keeps; those that were used least recently are dropped."""

Fetch = Callable[[str | None], Awaitable[Token]]
"""Gets a token. It takes the refresh token of the last one, if there is one."""


class TokenCache:
    """The tokens of an executor, by the key of their policy."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._tokens: OrderedDict[str, Token] = OrderedDict()
        self._fetches: SharedCalls[Token] = SharedCalls()

    async def get(self, key: str, fetch: Fetch, refused: Token | None = None) -> Token:
        """A token that is valid.

        Args:
            key: of the policy.
            fetch: gets another one. What it raises is not kept.
            refused: a token that the service did not accept, so another one is needed.
        """
        token = self._tokens.get(key)
        if token is not None and token is not refused and self._monotonic() < token.expires_at:
            self._tokens.move_to_end(key)
            return token
        refresh_token = None if token is None else token.refresh_token
        return await self._fetches.get(key, partial(self._fetch, key, fetch, refresh_token))

    async def close(self) -> None:
        """Ends the requests that nothing waits for any more."""
        await self._fetches.close()

    async def _fetch(self, key: str, fetch: Fetch, refresh_token: str | None) -> Token:
        current.set(None)  # if it waits for a limit, it does not hold the slot of the task that began it
        token = await fetch(refresh_token)
        self._tokens[key] = token
        self._tokens.move_to_end(key)
        if len(self._tokens) > MOST_TOKENS:
            self._tokens.popitem(last=False)
        return token
