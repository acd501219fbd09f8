"""Checks arguments of calls that a schema does not express (inventory J22)."""

from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import urlsplit

from unspool.definitions.findings import Findings
from unspool.definitions.function_name import CALLS
from unspool.definitions.json_pointer import child
from unspool.definitions.json_value import Json
from unspool.definitions.schema import Occurrence

_WITH_ADDRESSES: Final = ("endpoint", "document", "agentCard", "server", "proto", "transport")
"""The arguments that have the address of a server or of a document."""


def check_calls(occurrences: Iterable[Occurrence], findings: Findings) -> None:
    """Checks that each call of A2A names its agent, and that addresses have hosts."""
    for found in occurrences:
        match found.value:
            case {"call": str(kind), "with": dict(arguments)} if found.role == "task":
                pointer = child(found.pointer, "with")
                if kind == "a2a" and not arguments.keys() & {"agentCard", "server"}:
                    message = "a call of A2A needs the 'agentCard' or the 'server' of its agent"
                    findings.error(pointer, message, at_key=True)
                for name in _WITH_ADDRESSES if kind in CALLS else ():
                    _check_addresses(arguments.get(name), child(pointer, name), findings)


def _check_addresses(argument: Json, pointer: str, findings: Findings) -> None:
    for address, place in _addresses(argument, pointer):
        if _is_without_host(address):
            findings.warning(place, "the host of the address is not valid, so the call fails")


def _addresses(argument: Json, pointer: str) -> Iterator[tuple[str, str]]:
    match argument:
        case str():
            yield argument, pointer
        case dict():
            for name in ("uri", "endpoint", "http"):
                yield from _addresses(argument.get(name), child(pointer, name))
        case _:
            pass


def _is_without_host(address: str) -> bool:
    """Whether no host can be found in an address of HTTP without variables and expressions."""
    if "{" in address or not address.startswith(("http://", "https://")):
        return False
    try:
        parts = urlsplit(address)
        return parts.netloc.endswith("@") or not parts.hostname or parts.port == 0
    except ValueError:
        return True
