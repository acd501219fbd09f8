"""Checks that the reusable components that are used exist (inventory B9, S1, U2, U12)."""

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from unspool.definitions.findings import Findings
from unspool.definitions.function_name import (
    CALLS,
    DEFAULT_CATALOG,
    cataloged,
    is_address,
    malformed,
    registered,
)
from unspool.definitions.resource_address import problem_of_address
from unspool.definitions.schema import Occurrence
from unspool.definitions.semantics.splitting import is_whole
from unspool.definitions.spelling import did_you_mean, shown

_COMPONENTS: Final = {
    "error-name": ("error", "errors"),
    "retry-name": ("retry policy", "retries"),
    "timeout-name": ("timeout", "timeouts"),
    "authentication-name": ("authentication policy", "authentications"),
    "secret-name": ("secret", "secrets"),
}
"""By role, the name of a component in messages, and the member of `use` that declares it."""

_ALL: Final = ("functions", "catalogs", *(component for _, component in _COMPONENTS.values()))

Names = Mapping[str, None]
"""Names in the order in which they are declared."""


def check_references(
    occurrences: Iterable[Occurrence], findings: Findings, functions: Collection[str] | None = ()
) -> None:
    """Reports names of components that do not exist.

    `functions` are those that executors register, as far as they are known; None: there can be none.
    """
    known = {component: declared(findings, component) for component in _ALL}
    for occurrence in occurrences:
        if occurrence.role in _COMPONENTS:
            _check_component(occurrence, known, findings)
        elif occurrence.role == "function-name":
            _check_function(occurrence, known, findings, functions)


def declared(findings: Findings, component: str) -> Names:
    """Returns the names that a member of `use` declares; none if it is malformed."""
    use = findings.document.value.get("use")
    components = use.get(component) if isinstance(use, dict) else None
    names = components if isinstance(components, dict | list) else ()
    return dict.fromkeys(name for name in names if isinstance(name, str))


def _check_component(occurrence: Occurrence, known: Mapping[str, Names], findings: Findings) -> None:
    what, component = _COMPONENTS[occurrence.role]
    name = occurrence.value
    if occurrence.role == "error-name" and is_whole(name):
        return  # an expression that returns an error or the name of one (inventory I25)
    if name not in known[component]:
        suggestion = did_you_mean(name, known[component])
        findings.error(occurrence.pointer, f"no {what} '{shown(name)}' in use.{component}{suggestion}")


def _check_function(
    occurrence: Occurrence,
    known: Mapping[str, Names],
    findings: Findings,
    functions: Collection[str] | None,
) -> None:
    """Checks that a function is declared, in a catalog, at a URL, or one of executors (inventory J24)."""
    name = occurrence.value
    if name in known["functions"]:
        return
    if is_address(name):
        if (problem := problem_of_address(name)) is not None:
            findings.error(occurrence.pointer, f"the address of a function cannot be used: {problem}")
        return
    if (function := cataloged(name)) is not None:
        _check_catalog(function.catalog, occurrence, known["catalogs"], findings)
        return
    if (wrong := malformed(name)) is not None:
        form = "a function of a catalog is called by name:version@catalog"
        findings.error(occurrence.pointer, f"'{shown(name)}': {shown(wrong, 120)}; {form}")
        return
    if functions is None or registered(name) is None:
        suggestion = did_you_mean(name, (*known["functions"], *CALLS))
        otherwise = suggestion or "; a function of a catalog is called by name:version@catalog"
        findings.error(occurrence.pointer, f"no function '{shown(name)}' in use.functions{otherwise}")
    elif name not in functions:
        suggestion = did_you_mean(name, (*known["functions"], *CALLS, *sorted(functions)))
        otherwise = suggestion or "; so an executor must have a function of that name"
        findings.warning(occurrence.pointer, f"no function '{shown(name)}' in use.functions{otherwise}")


def _check_catalog(name: str, occurrence: Occurrence, known: Names, findings: Findings) -> None:
    if name != DEFAULT_CATALOG and name not in known:
        suggestion = did_you_mean(name, known)
        findings.error(occurrence.pointer, f"no catalog '{shown(name)}' in use.catalogs{suggestion}")
