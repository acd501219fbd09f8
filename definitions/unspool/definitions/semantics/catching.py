"""Warns of error filters that catch nothing, and of retry policies without a retry (inventory I30, M5)."""

from collections.abc import Iterable
from typing import Any

from unspool.definitions.findings import Findings
from unspool.definitions.json_pointer import child
from unspool.definitions.schema import Occurrence
from unspool.definitions.semantics.splitting import sources
from unspool.definitions.spelling import shown


def check_catching(occurrences: Iterable[Occurrence], findings: Findings) -> None:
    """Checks every `catch`, and the retry policies in `use`."""
    for found in occurrences:
        catch = found.value.get("catch") if found.role == "task" and isinstance(found.value, dict) else None
        if isinstance(catch, dict):
            _warn_of_expressions(catch.get("errors"), child(found.pointer, "catch", "errors"), findings)
            _warn_of_no_retry(catch.get("retry"), child(found.pointer, "catch", "retry"), findings)
    use = findings.document.value.get("use")
    policies = use.get("retries") if isinstance(use, dict) else None
    for name, policy in policies.items() if isinstance(policies, dict) else ():
        _warn_of_no_retry(policy, child("/use/retries", name), findings)


def _warn_of_expressions(errors: Any, pointer: str, findings: Findings) -> None:
    members = errors.get("with") if isinstance(errors, dict) else None
    for name, value in members.items() if isinstance(members, dict) else ():
        if isinstance(value, str) and sources(value):
            message = f"'{shown(name)}' is compared with this text as it is; write an expression in 'when'"
            findings.warning(child(pointer, "with", name), message)


def _warn_of_no_retry(policy: Any, pointer: str, findings: Findings) -> None:
    match policy:
        case {"limit": {"attempt": {"count": int() as count}}} if count < 0:
            message = "nothing is retried; without 'count' the number of retries has no limit"
            findings.warning(child(pointer, "limit", "attempt", "count"), message)
        case _:
            pass
