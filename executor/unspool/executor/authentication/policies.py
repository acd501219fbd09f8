"""Makes the credentials of evaluated policies."""

from unspool.definitions.errors import configuration
from unspool.definitions.json_value import Json
from unspool.executor.authentication.credentials import NONE, Credentials, fixed
from unspool.executor.authentication.digest import RecentNonces, digest
from unspool.executor.outcome import Rejected


class Authentication:
    """The authentication of all calls of an executor. It remembers what several calls can use."""

    def __init__(self) -> None:
        self._nonces = RecentNonces()

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
            case _:
                kind = ", ".join(policy) if isinstance(policy, dict) else type(policy).__name__
                detail = f"authentication must be basic, bearer or digest, not {kind}"
                raise Rejected(configuration(detail))
