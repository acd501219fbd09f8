"""Security schemes of OpenAPI and AsyncAPI documents and of agent cards: API keys and where they go. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from unspool.definitions.json_value import Json

_PLACES: Final = frozenset({"header", "query", "cookie"})


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Where an API key goes: a header, a query parameter or a cookie."""

    name: str
    place: str

    def headers(self, value: str) -> dict[str, str]:
        """The headers that carry a key; none if it is a query parameter."""
        match self.place:
            case "query":
                return {}
            case "cookie":
                return {"Cookie": f"{self.name}={value}"}
            case _:
                return {self.name: value}

    def query(self, value: str) -> dict[str, str]:
        """The query parameters that carry a key; none if it is a header or a cookie."""
        return {self.name: value} if self.place == "query" else {}


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a service accepts as credentials."""

    keys: tuple[ApiKey, ...] = ()
    has_authorization: bool = False
    """Whether a scheme uses the `Authorization` header: basic, bearer, OAuth2, OpenID Connect."""

    def key_for(self, policy: Json) -> tuple[ApiKey, str] | None:
        """The key that carries the token of a policy `bearer`, if the service knows API keys only."""
        match policy:
            case {"bearer": {"token": str(token)} | str(token)} if self.keys and not self.has_authorization:
                return self.keys[0], token
            case _:
                return None


def accepted(schemes: Iterable[dict[str, Json]]) -> Accepted:
    """What security schemes accept."""
    keys: dict[ApiKey, None] = {}
    has_authorization = False
    for scheme in schemes:
        match scheme:
            case {"type": "apiKey" | "mutualTLS"} | {"apiKeySecurityScheme": _} | {"mtlsSecurityScheme": _}:
                if (key := api_key(scheme)) is not None:
                    keys[key] = None
            case _:
                has_authorization = True
    return Accepted(tuple(keys), has_authorization)


def api_key(scheme: Mapping[str, Json]) -> ApiKey | None:
    """The API key of a security scheme of OpenAPI, AsyncAPI (HTTP), A2A 0.3 or A2A 1.0; None for others."""
    match scheme:
        case {"type": "apiKey" | "httpApiKey", "in": str(place), "name": str(name)} if place in _PLACES:
            return ApiKey(name, place)
        case {"apiKeySecurityScheme": {"location": str(place), "name": str(name)}} if place in _PLACES:
            return ApiKey(name, place)
        case _:
            return None


def required_names(required: Json) -> Iterator[str]:
    """The names of the schemes in a list of security requirements, which are maps."""
    for requirement in required if isinstance(required, list) else ():
        yield from requirement if isinstance(requirement, dict) else ()
