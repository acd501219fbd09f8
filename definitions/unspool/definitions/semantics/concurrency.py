"""Checks where `metadata.unspool.concurrency` is, which lets the iterations of a `for` run side by side."""

from collections.abc import Iterable
from typing import Any, Final

from unspool.definitions.findings import Findings
from unspool.definitions.json_pointer import child
from unspool.definitions.schema import Occurrence

_MARK: Final = ("metadata", "unspool", "concurrency")


def check_concurrency(occurrences: Iterable[Occurrence], findings: Findings) -> None:
    """Checks every task that has the mark."""
    for found in occurrences:
        if found.role == "task" and _is_marked(found.value):
            _check(found.value, found.pointer, findings)


def _is_marked(task: Any) -> bool:
    part = task
    for member in _MARK:
        if not isinstance(part, dict) or member not in part:
            return False
        part = part[member]
    return True


def _check(task: dict[str, Any], pointer: str, findings: Findings) -> None:
    mark = child(pointer, *_MARK)
    if "for" not in task:
        findings.warning(mark, "'concurrency' has no effect here: only a 'for' has iterations", at_key=True)
    elif "while" in task:
        findings.error(
            child(pointer, "while"),
            "iterations that run side by side have no order, so 'while' cannot stop the later ones; "
            "remove 'while' or 'concurrency'",
            at_key=True,
        )
