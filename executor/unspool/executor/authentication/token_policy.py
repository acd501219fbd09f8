"""Reads the policies `oauth2` and `oidc` (dsl-reference.md, "Authentication"; inventory K2-K4). Pure."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import orjson
from yarl import URL

from unspool.definitions.json_value import Json
from unspool.executor.http.target import exact_url, joined_path
from unspool.executor.outcome import reject

AUTHORIZATION_CODE: Final = "authorization_code"
CLIENT_CREDENTIALS: Final = "client_credentials"
PASSWORD: Final = "password"  # noqa: S105 - the name of a grant
REFRESH_TOKEN: Final = "refresh_token"  # noqa: S105 - the name of a grant
TOKEN_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - the name of a grant

GRANTS: Final = (AUTHORIZATION_CODE, CLIENT_CREDENTIALS, PASSWORD, REFRESH_TOKEN, TOKEN_EXCHANGE)
CLIENT_METHODS: Final = (
    "client_secret_post",
    "client_secret_basic",
    "client_secret_jwt",
    "private_key_jwt",
    "none",
)
FORM: Final = "application/x-www-form-urlencoded"
JSON: Final = "application/json"

_WELL_KNOWN: Final = "/.well-known/"
_DISCOVERY: Final = "/.well-known/openid-configuration"
_TOKEN_PATH: Final = "/oauth2/token"  # noqa: S105 - a path
_TOKEN_TYPE: Final = "urn:ietf:params:oauth:token-type:"  # noqa: S105 - a prefix of names


@dataclass(frozen=True, slots=True)
class Client:
    """The client that asks for tokens."""

    id: str | None
    secret: str | None
    assertion: Json
    """A JWT, or a private key: in PEM, or as a JWK or a set of JWKs."""
    method: str
    """How it authenticates, one of `CLIENT_METHODS`."""


@dataclass(frozen=True, slots=True)
class OtherToken:
    """A token that the policy has: of the subject, or of the actor."""

    token: str
    type: str


@dataclass(frozen=True, slots=True)
class TokenPolicy:
    """A policy by which tokens are got."""

    key: str
    """A digest of the whole policy: the same policy can use the same token."""
    discovery: URL | None
    """Where the configuration of the provider is; None if `endpoint` is known."""
    endpoint: URL | None
    """The token endpoint; None if the configuration names it."""
    grant: str
    client: Client
    encoding: str
    issuers: tuple[str, ...]
    scopes: tuple[str, ...]
    audiences: tuple[str, ...]
    username: str | None
    password: str | None
    subject: OtherToken | None
    actor: OtherToken | None

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts to hide in errors."""
        return tuple(
            _texts(self.client.secret, self.client.assertion, self.password, self.subject, self.actor)
        )


def token_policy(policy: dict[str, Json]) -> TokenPolicy:
    """Reads an evaluated policy `oauth2` or `oidc`.

    Raises:
        Rejected: a member is missing or wrong; the `configuration` error names it.
    """
    (scheme, members), *_ = policy.items()
    if not isinstance(members, dict):
        reject(f"{scheme} authentication needs members such as authority and grant")
    read = _Members(scheme, members)
    discovery, endpoint = _addresses(scheme, read)
    grant = _grant(read)
    return TokenPolicy(
        key=hashlib.sha256(orjson.dumps(policy, option=orjson.OPT_SORT_KEYS)).hexdigest(),
        discovery=discovery,
        endpoint=endpoint,
        grant=grant,
        client=_client(read.inner("client")),
        encoding=read.inner("request").one_of("encoding", (FORM, JSON)),
        issuers=read.texts("issuers"),
        scopes=read.texts("scopes"),
        audiences=read.texts("audiences"),
        username=read.needed("username", f"the grant {PASSWORD}") if grant == PASSWORD else None,
        password=read.needed("password", f"the grant {PASSWORD}") if grant == PASSWORD else None,
        subject=_other_token(read, "subject", needed=grant in _NAME_A_TOKEN, grant=grant),
        actor=_other_token(read, "actor", needed=False, grant=grant),
    )


_NAME_A_TOKEN: Final = (AUTHORIZATION_CODE, REFRESH_TOKEN, TOKEN_EXCHANGE)
"""Grants that exchange a token of the policy for another."""


@dataclass(frozen=True, slots=True)
class _Members:
    """The members of an object of a policy."""

    place: str
    values: Mapping[str, Json]

    def text(self, name: str) -> str | None:
        value = self.values.get(name)
        if value is not None and not isinstance(value, str):
            reject(f"{self.place}.{name} must be text")
        return value or None

    def needed(self, name: str, by: str) -> str:
        value = self.text(name)
        return value if value is not None else reject(f"{self.place}.{name} is needed by {by}")

    def texts(self, name: str) -> tuple[str, ...]:
        value = self.values.get(name)
        if value is None:
            return ()
        if isinstance(value, str):
            return tuple(value.split())
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            reject(f"{self.place}.{name} must be a list of texts")
        return tuple(value)

    def inner(self, name: str) -> "_Members":
        value = self.values.get(name)
        if value is not None and not isinstance(value, dict):
            reject(f"{self.place}.{name} must be an object")
        return _Members(f"{self.place}.{name}", value or {})

    def one_of(self, name: str, known: tuple[str, ...]) -> str:
        """The value, which by default is the first."""
        value = self.text(name) or known[0]
        if value not in known:
            reject(f"{self.place}.{name} must be one of {', '.join(known)}, not {value!r}")
        return value


def _grant(read: _Members) -> str:
    written = read.needed("grant", "every policy for tokens")
    grant = written if ":" in written else written.replace("-", "_")
    if grant == "token_exchange":
        return TOKEN_EXCHANGE
    if grant not in GRANTS:
        reject(f"{read.place}.grant must be one of {', '.join(GRANTS)}, not {written!r}")
    return grant


def _client(read: _Members) -> Client:
    method = read.one_of("authentication", CLIENT_METHODS)
    needs = {
        "client_secret_basic": ("id", "secret"),
        "client_secret_jwt": ("id", "secret"),
        "private_key_jwt": ("id", "assertion"),
        "none": ("id",),
    }.get(method, ())
    assertion = read.values.get("assertion")
    if not isinstance(assertion, str | dict | None):
        reject(f"{read.place}.assertion must be a JWT or a private key, as text")
    for name in needs:
        if not read.values.get(name) and not (name == "secret" and assertion):
            reject(f"{read.place}.{name} is needed by the client authentication {method}")
    return Client(read.text("id"), read.text("secret"), assertion or None, method)


def _other_token(read: _Members, name: str, *, needed: bool, grant: str) -> OtherToken | None:
    if name not in read.values:
        return reject(f"{read.place}.{name}.token is needed by the grant {grant}") if needed else None
    inner = read.inner(name)
    kind = inner.text("type") or "access_token"
    return OtherToken(
        inner.needed("token", f"the grant {grant}"), kind if ":" in kind else f"{_TOKEN_TYPE}{kind}"
    )


def _addresses(scheme: str, read: _Members) -> tuple[URL | None, URL | None]:
    """The address of the configuration, or of the token endpoint."""
    authority = _url(f"{read.place}.authority", read.needed("authority", "every policy for tokens"))
    written = read.inner("endpoints").text("token") if scheme == "oauth2" else None
    if written is None and _WELL_KNOWN in authority.path:  # the address of the configuration itself
        return authority, None
    if scheme == "oidc":
        return joined_path(authority, _DISCOVERY), None
    if written is not None and written.startswith(("http://", "https://")):
        return None, _url(f"{read.place}.endpoints.token", written)
    return None, joined_path(authority, written or _TOKEN_PATH)


def _url(place: str, text: str) -> URL:
    try:
        url = exact_url(text.strip())
        usable = url.scheme in {"http", "https"} and url.port != 0 and not (url.user or url.password)
    except ValueError:
        usable = False
    if not usable:
        reject(f"{place} is not a complete http or https URL without a user")
    return url


def _texts(*values: object) -> Iterator[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, OtherToken):
            yield value.token
        elif isinstance(value, dict):
            yield from _texts(*value.values())
        elif isinstance(value, list):
            yield from _texts(*value)
