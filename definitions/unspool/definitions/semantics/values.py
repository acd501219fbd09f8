"""Values with a meaning of their own: variables, durations, data schemas (inventory E13, N5, F7)."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final

from unspool.definitions.data_schema import BadSchema, DataSchema
from unspool.definitions.durations import BadDuration, parse_duration
from unspool.definitions.findings import Findings
from unspool.definitions.schema import Occurrence
from unspool.definitions.semantics.splitting import is_whole
from unspool.definitions.spelling import shown

BUILT_IN_ARGUMENTS: Final = frozenset(
    {
        "context",
        "input",
        "output",
        "secrets",
        "authorization",
        "task",
        "workflow",
        "runtime",
        "ENV",
        "__loc__",
    }
)
"""Variables that are there already (dsl.md, "Runtime expression arguments", and jq's own)."""

_JQ_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_values(occurrences: Iterable[Occurrence], findings: Findings) -> None:
    """Checks each such value on its own, and that a loop's two variables differ."""
    for occurrence in occurrences:
        problem_of = _CHECKS.get(occurrence.role)
        message = problem_of(occurrence.value) if problem_of else None
        if message is not None and findings.is_clean(occurrence.pointer):
            findings.error(occurrence.pointer, message)
    _check_pairs([found for found in occurrences if found.role == "variable"], findings)


def _variable(name: str) -> str | None:
    if name in BUILT_IN_ARGUMENTS:
        return f"the variable '{name}' would hide the built-in ${name}"
    if not _JQ_IDENTIFIER.fullmatch(name):
        return (
            f"'{shown(name)}' is no name for a variable: letters, digits and '_', not beginning with a digit"
        )
    return None


def _check_pairs(variables: list[Occurrence], findings: Findings) -> None:
    """`each` and `at` of one loop stand beside each other."""
    names = Counter((found.pointer.rpartition("/")[0], found.value) for found in variables)
    for found in variables:
        if found.pointer.endswith("/at") and names[found.pointer.rpartition("/")[0], found.value] > 1:
            findings.error(
                found.pointer, f"the item and its index cannot both be called '{shown(found.value)}'"
            )


def _duration(value: Any) -> str | None:
    if isinstance(value, str) and is_whole(value):
        return None
    try:
        parse_duration(value)
    except BadDuration as bad:
        return str(bad)
    return None


def _data_schema(value: Any) -> str | None:
    try:
        DataSchema.compile(value)
    except BadSchema as bad:
        return str(bad)
    return None


def _format(value: str) -> str | None:
    if value.partition(":")[0] != "json":
        return f"schemas are written in 'json' here, not in '{shown(value)}'"
    return None


def _language(value: str) -> str | None:
    return None if value == "jq" else f"expressions are written in 'jq' here, not in '{shown(value)}'"


_CHECKS: Final[dict[str, Callable[[Any], str | None]]] = {
    "variable": _variable,
    "duration": _duration,
    "data-schema": _data_schema,
    "format": _format,
    "language": _language,
}
