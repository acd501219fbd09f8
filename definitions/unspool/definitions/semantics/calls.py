"""Checks arguments of calls that a schema does not express (inventory J22)."""

from collections.abc import Iterable

from unspool.definitions.findings import Findings
from unspool.definitions.json_pointer import child
from unspool.definitions.schema import Occurrence


def check_calls(occurrences: Iterable[Occurrence], findings: Findings) -> None:
    """Checks that each call of A2A names its agent."""
    for found in occurrences:
        match found.value:
            case {"call": "a2a", "with": dict(arguments)} if found.role == "task":
                if not arguments.keys() & {"agentCard", "server"}:
                    message = "a call of A2A needs the 'agentCard' or the 'server' of its agent"
                    findings.error(child(found.pointer, "with"), message, at_key=True)
