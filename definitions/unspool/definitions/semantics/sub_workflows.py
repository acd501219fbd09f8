"""Warns of sub-workflows that are not among the definitions that are checked together."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from unspool.definitions.findings import Findings
from unspool.definitions.json_pointer import child
from unspool.definitions.schema import Occurrence
from unspool.definitions.spelling import did_you_mean, shown

Workflows = Mapping[str, frozenset[str]]
"""The versions of the workflows that are known, by `NAMESPACE/NAME`."""

_LATEST: Final = "latest"


def known_workflows(definitions: Iterable[Mapping[str, Any]]) -> Workflows:
    """Returns the workflows that definitions define. Malformed ones are left out."""
    known: dict[str, frozenset[str]] = {}
    for definition in definitions:
        match definition.get("document"):
            case {"namespace": str(namespace), "name": str(name), "version": str(version)}:
                workflow = f"{namespace}/{name}"
                known[workflow] = known.get(workflow, frozenset()) | {version}
            case _:
                pass
    return known


def check_sub_workflows(
    occurrences: Iterable[Occurrence], findings: Findings, known: Workflows | None
) -> None:
    """Warns of each sub-workflow that is not known. If `known` is None, any workflow may exist."""
    if known is None:
        return
    for found in occurrences:
        if found.role == "workflow" and findings.is_clean(found.pointer):
            _check(found, findings, known)


def _suggestion(workflow: Mapping[str, str], known: Workflows) -> str:
    """Returns the suggestion for the end of a message: a similar name, or the name in another namespace."""
    namespace, name = workflow["namespace"], workflow["name"]
    named = [tuple(each.split("/")) for each in known]
    elsewhere = next((f"{other}/{name}" for other, each in named if each == name), None)
    if elsewhere is not None:
        return f", did you mean '{shown(elsewhere)}'?"
    return did_you_mean(name, [each for other, each in named if other == namespace])


def _check(found: Occurrence, findings: Findings, known: Workflows) -> None:
    workflow = f"{found.value['namespace']}/{found.value['name']}"
    versions = known.get(workflow)
    version = found.value.get("version", _LATEST)
    if versions is None:
        message = f"no workflow '{shown(workflow)}' in these files{_suggestion(found.value, known)}"
        findings.warning(child(found.pointer, "name"), message)
    elif version not in {_LATEST, *versions}:
        have = ", ".join(sorted(versions))
        message = f"'{shown(workflow)}' has no version '{shown(version)}' in these files, only {have}"
        findings.warning(child(found.pointer, "version"), message)
