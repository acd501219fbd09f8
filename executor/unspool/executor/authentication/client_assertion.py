"""Signs the JWT by which a client authenticates (RFC 7523, 2.2)."""

import re
from typing import Any, Final

import orjson

from unspool.definitions.errors import WorkflowError, configuration
from unspool.definitions.json_value import Json
from unspool.executor.authentication.token_policy import Client
from unspool.executor.outcome import Rejected

LIFETIME_SECONDS: Final = 60

_JWT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_ALGORITHMS: Final = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}


def client_assertion(client: Client, audience: str, *, now: int, id_: str) -> str | None:
    """The JWT of a client; None if its method needs none.

    Args:
        client: that authenticates.
        audience: the token endpoint.
        now: seconds since 1970.
        id_: tells one assertion from another.

    Raises:
        Rejected: its key cannot be used, or the library for JWTs is not installed.
    """
    if client.method not in {"client_secret_jwt", "private_key_jwt"}:
        return None
    if isinstance(client.assertion, str) and _JWT.fullmatch(client.assertion.strip()):
        return client.assertion.strip()
    claims = {
        "iss": client.id,
        "sub": client.id,
        "aud": audience,
        "jti": id_,
        "iat": now,
        "exp": now + LIFETIME_SECONDS,
    }
    try:
        return _signed(client, claims)
    except ImportError:
        detail = f"the client authentication {client.method} needs a library: pip install unspool[jwt]"
        raise Rejected(configuration(detail, title="Not installed")) from None


def _signed(client: Client, claims: dict[str, Any]) -> str:
    from joserfc import jwt  # noqa: PLC0415 - an extra, and it takes long to import
    from joserfc.errors import JoseError  # noqa: PLC0415

    try:
        key, algorithm = _shared_key(client) if client.method == "client_secret_jwt" else _private_key(client)
        header = {"alg": algorithm, "typ": "JWT"}
        if key.kid:
            header["kid"] = key.kid
        return jwt.encode(header, claims, key, algorithms=[algorithm])
    except (JoseError, ValueError, TypeError, LookupError):  # their texts can have a part of the key
        raise Rejected(_unusable(client)) from None


def _unusable(client: Client) -> WorkflowError:
    kind = "secret" if client.method == "client_secret_jwt" else "assertion"
    form = "cannot sign" if kind == "secret" else "is neither a JWT nor a private key in PEM or as a JWK"
    return configuration(f"the client's {kind} {form}")


def _shared_key(client: Client) -> tuple[Any, str]:
    import warnings  # noqa: PLC0415

    from joserfc.jwk import OctKey  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the length of the secret is the provider's choice
        return OctKey.import_key(client.secret or ""), "HS256"


def _private_key(client: Client) -> tuple[Any, str]:
    from joserfc.jwk import import_key  # noqa: PLC0415

    written = client.assertion
    if isinstance(written, str) and written.lstrip().startswith("{"):
        written = orjson.loads(written)
    key: Any = _from_pem(written) if isinstance(written, str) else import_key(_of_set(written))
    if not key.is_private:
        raise ValueError
    return key, _algorithm(key)


def _of_set(written: dict[str, Json]) -> dict[str, Json]:
    """The key, or the first key of a set that is for signatures."""
    if "keys" not in written:
        return written
    return next(key for key in written["keys"] if key.get("use", "sig") == "sig" and "d" in key)


def _from_pem(text: str) -> Any:
    from joserfc.jwk import ECKey, OKPKey, RSAKey  # noqa: PLC0415

    for kind in (RSAKey, ECKey, OKPKey):
        try:
            return kind.import_key(text)
        except Exception as error:  # noqa: BLE001 - libraries of keys raise exceptions of many kinds
            failed = error
    raise ValueError(str(type(failed)))


def _algorithm(key: Any) -> str:
    """The algorithm that the key names, or the usual one for its kind."""
    if named := key.get("alg"):
        return str(named)
    if key.key_type == "RSA":
        return "RS256"
    return _ALGORITHMS.get(str(key.curve_name), str(key.curve_name))  # Ed25519 is a name of both
