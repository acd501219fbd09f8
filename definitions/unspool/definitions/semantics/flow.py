"""Checks the flow: names of tasks, flow directives, default cases (inventory A7, H4, H7, H9, I4, U11)."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any, Final

from unspool.definitions.findings import Findings
from unspool.definitions.json_pointer import child
from unspool.definitions.plan import Directive
from unspool.definitions.schema import Occurrence
from unspool.definitions.spelling import did_you_mean, shown

DIRECTIVES: Final = tuple(Directive)

NamedTasks = list[tuple[str, dict[str, Any], str]]
"""Name, value and pointer of the tasks or cases of a list, in order, without malformed ones."""


def check_flow(occurrences: Iterable[Occurrence], findings: Findings) -> None:
    """Checks every list of tasks, every flow directive and every switch."""
    lists = [occurrence for occurrence in occurrences if occurrence.role in {"tasks", "branches"}]
    names = {found.pointer: dict.fromkeys(name for name, _, _ in named_tasks(found)) for found in lists}
    roles = {found.pointer: found.role for found in lists}
    for found in lists:
        _check_names(named_tasks(found), findings)
        if found.role == "tasks":
            _warn_of_unreachable(named_tasks(found), findings)
    for occurrence in occurrences:
        if occurrence.role == "cases":
            _check_cases(occurrence, findings)
        elif occurrence.role == "directive":
            _check_directive(occurrence, names, roles, findings)


def named_tasks(tasks: Occurrence) -> NamedTasks:
    """Returns the tasks of a list, or the cases of a switch."""
    return [
        (name, task, child(tasks.pointer, index, name))
        for index, item in enumerate(tasks.value)
        if isinstance(item, dict)
        for name, task in item.items()
        if isinstance(task, dict)
    ]


# -- names


def _check_names(tasks: NamedTasks, findings: Findings) -> None:
    seen: dict[str, str] = {}
    for name, _, pointer in tasks:
        if name in DIRECTIVES:
            findings.error(pointer, f"a task cannot be named '{name}': that is a flow directive", at_key=True)
        if name in seen:
            first = findings.document.key_position(seen[name]).line
            findings.error(
                pointer,
                f"duplicate task name '{shown(name)}' in one list, first on line {first}",
                at_key=True,
            )
        seen.setdefault(name, pointer)


# -- directives


def _check_directive(
    directive: Occurrence, names: Mapping[str, Mapping[str, None]], roles: dict[str, str], findings: Findings
) -> None:
    target = directive.value
    if target in DIRECTIVES:
        return
    scope = directive.scope
    if scope is None:
        findings.error(
            directive.pointer, f"a function is a single task; there is no '{shown(target)}' to go to"
        )
    elif roles[scope] == "branches":
        findings.error(
            directive.pointer, "branches of a fork run at once; 'then' cannot lead from one to another"
        )
    elif target not in names[scope]:
        findings.error(directive.pointer, _unknown_target(target, names, scope))


def _unknown_target(target: str, names: Mapping[str, Mapping[str, None]], scope: str) -> str:
    if any(target in others for others in names.values()):
        return f"'{shown(target)}' is a task of another list; 'then' leads only within its own"
    suggestion = did_you_mean(target, (*names[scope], *DIRECTIVES))
    return f"no task '{shown(target)}' in this list{suggestion}"


# -- switches


def _check_cases(cases: Occurrence, findings: Findings) -> None:
    defaults = [pointer for _, case, pointer in named_tasks(cases) if "when" not in case]
    for pointer in defaults[1:]:
        first = findings.document.key_position(defaults[0]).line
        findings.error(
            pointer, f"a switch has one default case; another without 'when' is on line {first}", at_key=True
        )


# -- reachability


def _warn_of_unreachable(tasks: NamedTasks, findings: Findings) -> None:
    targets = {target for _, task, _ in tasks for target in _directives(task)}
    for (name, task, _), (following, _, pointer) in pairwise(tasks):
        if following not in targets and not _can_continue(task):
            message = f"'{shown(following)}' is never reached: nothing leads past '{shown(name)}'"
            findings.warning(pointer, message, at_key=True)


def _directives(task: dict[str, Any]) -> Iterator[str]:
    """Yields the directives of a task and of its cases and `catch`."""
    yield from (found for found in _written_directives(task) if isinstance(found, str))


def _written_directives(task: dict[str, Any]) -> Iterator[Any]:
    yield task.get("then")
    yield from (case.get("then") for case in cases_of(task))
    catch = task.get("catch")
    if isinstance(catch, dict):
        yield catch.get("then")


def cases_of(task: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the cases of a switch; none for another task."""
    cases = task.get("switch")
    items = [item for item in cases if isinstance(item, dict)] if isinstance(cases, list) else []
    return [case for item in items for case in item.values() if isinstance(case, dict)]


def _can_continue(task: dict[str, Any]) -> bool:
    """Returns whether the next task may run after it; after a skipped task it does (inventory F11)."""
    if "if" in task or "continue" in _directives(task):
        return True
    if "raise" in task:
        return False
    decided = any("when" not in case for case in cases_of(task))
    return "then" not in task and not decided
