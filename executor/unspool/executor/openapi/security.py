"""The security schemes of an operation (OpenAPI, "Security Scheme Object"). Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from unspool.definitions.json_value import Json
from unspool.executor.openapi.document import ApiDocument, Edition

_PLACES: Final = frozenset({"header", "query", "cookie"})


@dataclass(frozen=True, slots=True)
class Key:
    """An API key: a header, a query parameter or a cookie."""

    name: str
    place: str


@dataclass(frozen=True, slots=True)
class Security:
    """What an operation accepts."""

    keys: tuple[Key, ...] = ()
    has_authorization: bool = False
    """Whether a scheme uses the `Authorization` header: basic, bearer, OAuth2, OpenID Connect."""

    def key_for(self, policy: Json) -> tuple[Key, str] | None:
        """The key that carries the token of a policy `bearer`, if the operation knows API keys only."""
        match policy:
            case {"bearer": {"token": str(token)} | str(token)} if self.keys and not self.has_authorization:
                return self.keys[0], token
            case _:
                return None


def security_of(document: ApiDocument, operation: dict[str, Json]) -> Security:
    """The schemes that an operation names, or else the document. A scheme that does not exist is left out."""
    required = operation.get("security", document.root.get("security"))
    keys: dict[Key, None] = {}
    has_authorization = False
    for scheme in _schemes(document, required):
        match scheme:
            case {"type": "apiKey", "name": str(name), "in": str(place)} if place in _PLACES:
                keys[Key(name, place)] = None
            case {"type": "apiKey" | "mutualTLS"}:
                pass
            case _:
                has_authorization = True
    return Security(tuple(keys), has_authorization)


def _schemes(document: ApiDocument, required: Json) -> Iterator[dict[str, Json]]:
    if document.edition is Edition.SWAGGER_2:
        defined = document.root.get("securityDefinitions")
    else:
        defined = document.known(document.root.get("components")).get("securitySchemes")
    for names in required if isinstance(required, list) else ():
        for name in names if isinstance(names, dict) else ():
            scheme = document.known(document.known(defined).get(name))
            if scheme:
                yield scheme
