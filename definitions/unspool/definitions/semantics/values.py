"""Checks names of variables, durations and data schemas (inventory E13, N5, F7)."""

import re
from collections.abc import Callable, Iterable
from typing import Any, Final

from unspool.definitions.data_schema import BadSchema, DataSchema
from unspool.definitions.durations import BadDuration, parse_duration
from unspool.definitions.findings import Findings
from unspool.definitions.schema import Occurrence
from unspool.definitions.semantics.splitting import is_whole
from unspool.definitions.semantics.variables import RESERVED
from unspool.definitions.spelling import shown

_JQ_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_values(occurrences: Iterable[Occurrence], findings: Findings) -> None:
    """Checks each value, and that the two variables of a loop differ."""
    for occurrence in occurrences:
        problem_of = _CHECKS.get(occurrence.role)
        message = problem_of(occurrence.value) if problem_of else None
        if message is not None and findings.is_clean(occurrence.pointer):
            findings.error(occurrence.pointer, message)
    _check_pairs([found for found in occurrences if found.role == "variable"], findings)


def _variable(name: str) -> str | None:
    if name in RESERVED:
        return f"the variable '{name}' would hide the built-in ${name}"
    if not _JQ_IDENTIFIER.fullmatch(name):
        return (
            f"'{shown(name)}' is not a valid name of a variable: use letters, digits and '_', no digit first"
        )
    return None


def _check_pairs(variables: list[Occurrence], findings: Findings) -> None:
    """Checks that the item and the index of a loop have different names, defaults included."""
    loops: dict[str, dict[str, Occurrence]] = {}
    for found in variables:
        loop, _, member = found.pointer.rpartition("/")
        if member in _PAIRED:
            loops.setdefault(loop, {})[_PAIRED[member]] = found
    for named in loops.values():
        item, index = (named[name].value if name in named else name for name in ("item", "index"))
        if item == index:
            place = (named.get("index") or named["item"]).pointer
            findings.error(place, f"the item and its index cannot both be called '{shown(item)}'")


_PAIRED: Final = {"each": "item", "item": "item", "at": "index"}
"""The members that name the variables of a loop, and their defaults."""


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
