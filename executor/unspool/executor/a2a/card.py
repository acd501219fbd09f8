"""Reads agent cards of A2A 0.3 and 1.0: where the agent is, and what it accepts as credentials. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin

from unspool.definitions.json_value import Json
from unspool.definitions.spelling import shown
from unspool.executor.authentication.api_keys import Accepted, accepted, required_names
from unspool.executor.documents.text import UnusableDocument

_JSONRPC: Final = "JSONRPC"


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
    security: Accepted


def read_card(card: dict[str, Json], address: str) -> AgentCard:
    """The interface of an agent, and what it accepts as credentials.

    Args:
        card: its value.
        address: of the card, for relative addresses in it.

    Raises:
        UnusableDocument: there is no interface that speaks JSON-RPC, or its address is not one.
    """
    offered = list(_interfaces(card))
    usable = [interface for binding, interface in offered if binding.upper() == _JSONRPC]
    if not usable:
        known = ", ".join(dict.fromkeys(binding for binding, _ in offered)) or "none"
        raise UnusableDocument(f"it names no interface for {_JSONRPC}; it has: {known}")
    # Methods and parameters of the DSL are those of 0.3.
    first = next((interface for interface in usable if not interface.modern), usable[0])
    return AgentCard(AgentInterface(_complete(first.url, address), first.modern), accepted(_schemes(card)))


def _complete(url: str, address: str) -> str:
    try:
        return urljoin(address, url)
    except ValueError:
        raise UnusableDocument(f"the address '{shown(url)}' of the agent is not valid") from None


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
    yield from required_names(card.get("security"))
    for each in _members(card.get("securityRequirements")):
        schemes = each.get("schemes")
        yield from schemes if isinstance(schemes, dict) else ()


def _members(value: Json) -> Iterator[dict[str, Json]]:
    for each in value if isinstance(value, list) else ():
        if isinstance(each, dict):
            yield each
