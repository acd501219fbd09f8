"""Warns of cases of a switch that continue into the target of another case.

After a task without `then`, the next task of the list runs. Authors often expect that a switch runs only one
of the tasks that its cases name (inventory H1, H8).
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from unspool.definitions.findings import Findings
from unspool.definitions.schema import Occurrence
from unspool.definitions.semantics.flow import NamedTasks, cases_of, named_tasks
from unspool.definitions.spelling import shown


def check_case_flow(occurrences: Iterable[Occurrence], findings: Findings) -> None:
    """Checks every switch in every list of tasks."""
    for found in occurrences:
        if found.role == "tasks":
            _check_list(named_tasks(found), findings)


def _check_list(tasks: NamedTasks, findings: Findings) -> None:
    indexes = {name: index for index, (name, _, _) in enumerate(tasks)}
    last = _last_reached(tasks)
    warned: set[int] = set()
    for switch, task, _ in tasks:
        written = [case.get("then") for case in cases_of(task)]
        targets = sorted({indexes[name] for name in written if isinstance(name, str) and name in indexes})
        for start, other in pairwise(targets):
            if other <= last[start] and start not in warned:
                warned.add(start)
                _warn(tasks[start], tasks[other][0], switch, findings)


def _last_reached(tasks: NamedTasks) -> list[int]:
    """Returns, for each task, the index of the last task that runs after it without a jump."""
    last = list(range(len(tasks)))
    for index in range(len(tasks) - 2, -1, -1):
        if _continues(tasks[index][1]):
            last[index] = last[index + 1]
    return last


def _continues(task: dict[str, Any]) -> bool:
    """Returns whether the next task runs after it only because it has no `then`."""
    return not task.keys() & {"then", "raise", "switch"}


def _warn(start: tuple[str, dict[str, Any], str], other: str, switch: str, findings: Findings) -> None:
    name, _, pointer = start
    findings.warning(
        pointer,
        f"after '{shown(name)}' the flow continues to '{shown(other)}', the target of another case of "
        f"'{shown(switch)}'; write 'then: exit' or 'then: end' on '{shown(name)}' if only one "
        "of them should run, or 'then: continue' if both should",
        at_key=True,
    )
