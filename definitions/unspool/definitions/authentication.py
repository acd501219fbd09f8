"""The `Authorization` header of an evaluated policy (dsl-reference.md, "Authentication")."""

import base64

from unspool.definitions.json_value import Json


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
        case {"digest": _}:
            return {"scheme": "Digest", "parameter": None}
        case {"oauth2": _} | {"oidc": _}:
            return {"scheme": "Bearer", "parameter": None}
        case _:
            return None


def needs_token(policy: Json) -> bool:
    """Returns whether a policy, which may have expressions, is one by which an executor gets a token."""
    return isinstance(policy, dict) and ("oauth2" in policy or "oidc" in policy)
