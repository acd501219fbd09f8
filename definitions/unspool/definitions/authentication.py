"""Authentication policies, evaluated: how they show in a request (dsl-reference.md, "Authentication")."""

import base64

from unspool.definitions.json_value import Json


def descriptor(policy: Json) -> dict[str, str] | None:
    """The scheme and parameter of the `Authorization` header that a policy leads to; also `$authorization`.

    None for a policy that is not known here, lacks a part, or has one that is no text.
    """
    match policy:
        case {"basic": {"username": str(username), "password": str(password)}}:
            encoded = base64.b64encode(f"{username}:{password}".encode()).decode()
            return {"scheme": "Basic", "parameter": encoded}
        case {"bearer": {"token": str(token)}}:
            return {"scheme": "Bearer", "parameter": token}
        case _:
            return None
