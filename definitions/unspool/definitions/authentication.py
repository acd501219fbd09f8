"""The `Authorization` header of a policy, which is `$authorization` (dsl-reference.md, "Authentication")."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from unspool.definitions.evaluable import Evaluable
from unspool.definitions.expressions import Budget
from unspool.definitions.json_value import Json

_SCHEMES: Final = {
    "basic": "Basic",
    "bearer": "Bearer",
    "digest": "Digest",
    "oauth2": "Bearer",
    "oidc": "Bearer",
}


@dataclass(frozen=True, slots=True)
class Descriptor:
    """The value of `$authorization` by a policy that is not evaluated."""

    policy: Evaluable

    @property
    def variables(self) -> frozenset[str]:
        """The names of the arguments that the policy reads."""
        return self.policy.variables

    def evaluate_within(self, value: Json, variables: Mapping[str, Json], budget: Budget) -> Json:
        """Returns the descriptor. Raises `ExpressionError`."""
        return descriptor(self.policy.evaluate_within(value, variables, budget))


def without_parameter(policy: Json) -> dict[str, str | None] | None:
    """Returns the descriptor of a policy, which may have expressions, as far as it holds no secret."""
    schemes = (_SCHEMES.get(name) for name in (policy if isinstance(policy, dict) else ()))
    scheme = next(filter(None, schemes), None)
    return None if scheme is None else {"scheme": scheme, "parameter": None}


def descriptor(policy: Json) -> dict[str, str | None] | None:
    """Returns the scheme and the parameter of the `Authorization` header, which are also `$authorization`.

    The parameter is None if only an executor can know it: it has got a challenge of the service, or a token.
    The result is None if the policy is not supported, lacks a part, or has a part that is not text.
    """
    match policy:
        case {"basic": {"username": str(username), "password": str(password)}}:
            encoded = base64.b64encode(f"{username}:{password}".encode()).decode()
            return {"scheme": "Basic", "parameter": encoded}
        case {"bearer": {"token": str(token)} | str(token)}:
            return {"scheme": "Bearer", "parameter": token}
        case {"digest": _} | {"oauth2": _} | {"oidc": _}:
            return without_parameter(policy)
        case _:
            return None


def needs_token(policy: Json) -> bool:
    """Returns whether a policy, which may have expressions, is one by which an executor gets a token."""
    return isinstance(policy, dict) and ("oauth2" in policy or "oidc" in policy)
