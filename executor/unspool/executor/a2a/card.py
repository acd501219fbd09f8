"""Reads agent cards of A2A 0.3 and 1.0: where the agent is, and what it accepts as credentials. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin

import orjson

from unspool.definitions.json_value import Json
from unspool.eventstore import strict_json

_JSONRPC: Final = "JSONRPC"
_PLACES: Final = frozenset({"header", "query", "cookie"})


class UnusableCard(ValueError):
    """A text is no agent card, or the card names no interface that can be used."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """Where an API key goes: a header, a query parameter or a cookie."""

    name: str
    place: str


@dataclass(frozen=True, slots=True)
class AgentInterface:
    """An address at which an agent speaks JSON-RPC."""

    url: str
    modern: bool
    """Whether it speaks A2A 1.0 or later, whose methods have other names, and not 0.3."""


@dataclass(frozen=True, slots=True)
class AgentCard:
    """What a call needs of a card."""

    interface: AgentInterface
    api_key: ApiKey | None
    """If the agent accepts API keys only."""


def parse(text: str) -> Json:
    """The value of a card. Raises `UnusableCard`."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise UnusableCard(f"it is not valid JSON: {error}") from None
    if not isinstance(value, dict) or strict_json.too_deep(text.encode(), value):
        raise UnusableCard("it is not an agent card")
    return value


def read_card(card: dict[str, Json], address: str) -> AgentCard:
    """The interface of an agent, and its API key.

    Args:
        card: as `parse` returns it.
        address: of the card, for relative addresses in it.

    Raises:
        UnusableCard: there is no interface that speaks JSON-RPC.
    """
    offered = list(_interfaces(card))
    usable = [interface for binding, interface in offered if binding.upper() == _JSONRPC]
    if not usable:
        known = ", ".join(dict.fromkeys(binding for binding, _ in offered)) or "none"
        raise UnusableCard(f"it names no interface for {_JSONRPC}; it has: {known}")
    # Methods and parameters of the DSL are those of 0.3.
    first = next((interface for interface in usable if not interface.modern), usable[0])
    return AgentCard(AgentInterface(urljoin(address, first.url), first.modern), _api_key(card))


def _interfaces(card: dict[str, Json]) -> Iterator[tuple[str, AgentInterface]]:
    """The interfaces with the names of their transports: of A2A 1.0, then of 0.3."""
    for each in _members(card.get("supportedInterfaces")):
        match each:
            case {"url": str(url), "protocolBinding": str(binding)}:
                yield binding, AgentInterface(url, modern=_is_modern(each.get("protocolVersion")))
            case _:
                pass
    if isinstance(main := card.get("url"), str):
        yield str(card.get("preferredTransport", _JSONRPC)), AgentInterface(main, modern=False)
    for each in _members(card.get("additionalInterfaces")):
        match each:
            case {"url": str(url), "transport": str(transport)}:
                yield transport, AgentInterface(url, modern=False)
            case _:
                pass


def _is_modern(version: Json) -> bool:
    return not str(version or "1.0").startswith("0.")


def _api_key(card: dict[str, Json]) -> ApiKey | None:
    schemes = list(_schemes(card))
    keys = [key for scheme in schemes if (key := _key(scheme)) is not None]
    return keys[0] if keys and len(keys) == len(schemes) else None


def _schemes(card: dict[str, Json]) -> Iterator[dict[str, Json]]:
    """The security schemes that the card requires; all if it requires none of them."""
    defined = card.get("securitySchemes")
    if not isinstance(defined, dict):
        return
    required = list(_required(card))
    for name, scheme in defined.items():
        if isinstance(scheme, dict) and (not required or name in required):
            yield scheme


def _required(card: dict[str, Json]) -> Iterable[str]:
    for each in _members(card.get("security")):
        yield from each
    for each in _members(card.get("securityRequirements")):
        schemes = each.get("schemes")
        yield from schemes if isinstance(schemes, dict) else ()


def _key(scheme: dict[str, Json]) -> ApiKey | None:
    match scheme:
        case {"type": "apiKey", "in": str(place), "name": str(name)} if place in _PLACES:
            return ApiKey(name, place)
        case {"apiKeySecurityScheme": {"location": str(place), "name": str(name)}} if place in _PLACES:
            return ApiKey(name, place)
        case _:
            return None


def _members(value: Json) -> Iterator[dict[str, Json]]:
    for each in value if isinstance(value, list) else ():
        if isinstance(each, dict):
            yield each
