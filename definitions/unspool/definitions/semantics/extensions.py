"""Checks extensions: their number, and whether each has something to do (inventory Q1)."""

from collections.abc import Iterable
from typing import Final

from unspool.definitions.extension_targets import ALL, EXTENSIONS, target_of
from unspool.definitions.findings import Findings
from unspool.definitions.json_pointer import child
from unspool.definitions.schema import Occurrence

MAX_EXTENSIONS: Final = 100
"""Extensions of one definition. All that apply to a task are in an event."""


def check_extensions(occurrences: Iterable[Occurrence], findings: Findings) -> None:
    """Checks every extension of a workflow."""
    extensions = [found for found in occurrences if found.role == "extension"]
    if len(extensions) > MAX_EXTENSIONS:
        findings.error(EXTENSIONS, f"a definition has at most {MAX_EXTENSIONS} extensions")
        return
    if not extensions:
        return
    targets = {target_of(found.value) for found in occurrences if _is_extended(found)} - {""}
    for extension in extensions:
        _check(extension, targets, findings)


def _is_extended(found: Occurrence) -> bool:
    return found.role == "task" and not found.pointer.startswith(f"{EXTENSIONS}/")


def _check(extension: Occurrence, targets: set[str], findings: Findings) -> None:
    extend = extension.value.get("extend")
    if not extension.value.get("before") and not extension.value.get("after"):
        findings.warning(
            extension.pointer, "an extension without tasks in 'before' or 'after' does nothing", at_key=True
        )
    elif extend not in targets and (extend != ALL or not targets) and findings.is_clean(extension.pointer):
        have = f"has only these: {', '.join(sorted(targets))}" if targets else "has no tasks"
        message = f"this extends no task: there is no '{extend}' in this workflow, which {have}"
        findings.warning(child(extension.pointer, "extend"), message)
