"""Makes the credentials of evaluated policies."""

from typing import TYPE_CHECKING

from unspool.definitions.errors import configuration
from unspool.definitions.json_value import Json
from unspool.executor.authentication.credentials import NONE, Credentials, fixed
from unspool.executor.authentication.digest import RecentNonces, digest
from unspool.executor.authentication.token_policy import token_policy
from unspool.executor.outbound import Outbound
from unspool.executor.outcome import Rejected

if TYPE_CHECKING:
    from unspool.executor.authentication.token_credentials import Tokens


class Authentication:
    """The authentication of all calls of an executor. It remembers what several calls can use."""

    def __init__(self, outbound: Outbound) -> None:
        """Takes the connections for the requests of tokens."""
        self._nonces = RecentNonces()
        self._outbound = outbound
        self._tokens: Tokens | None = None

    def credentials(self, policy: Json) -> Credentials:
        """The credentials of an evaluated policy; of None, none. Nothing is sent yet.

        Raises:
            Rejected: the kind of the policy is unknown, or a part is missing; a `configuration` error.
        """
        match policy:
            case None:
                return NONE
            case {"basic": _} | {"bearer": _}:
                return fixed(policy)
            case {"digest": _}:
                return digest(policy, self._nonces)
            case {"oauth2": _} | {"oidc": _}:
                from unspool.executor.authentication.token_credentials import (  # noqa: PLC0415 - slow to import
                    TokenCredentials,
                )

                return TokenCredentials(token_policy(policy), self._opened_tokens())
            case _:
                kind = ", ".join(policy) if isinstance(policy, dict) else type(policy).__name__
                detail = f"authentication must be basic, bearer, digest, oauth2 or oidc, not {kind}"
                raise Rejected(configuration(detail))

    async def descriptor(self, policy: Json) -> dict[str, str] | None:
        """The scheme and parameter of a policy for tokens, as `$authorization`; None for other policies.

        Raises:
            Rejected: there is no token.
        """
        match policy:
            case {"oauth2": _} | {"oidc": _}:
                token = await self._opened_tokens().get(token_policy(policy))
                return {"scheme": "Bearer", "parameter": token.value}
            case _:
                return None

    async def close(self) -> None:
        """Ends requests that nothing waits for any more."""
        if self._tokens is not None:
            await self._tokens.close()

    def _opened_tokens(self) -> "Tokens":
        if self._tokens is None:
            from unspool.executor.authentication.token_credentials import Tokens  # noqa: PLC0415 - slow to import

            self._tokens = Tokens(self._outbound)
        return self._tokens
