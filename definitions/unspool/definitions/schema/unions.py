"""Chooses the alternative of a `oneOf` that the author most likely meant, without trying all of them.

Each function returns the alternative, or a message if none fits.
"""

from collections.abc import Callable
from itertools import islice
from typing import Any, Final, cast

from unspool.definitions.schema.rules import Rule, known_members
from unspool.definitions.schema.types import expectation, found, matches
from unspool.definitions.spelling import did_you_mean, nearest, shown

_MOST_NAMES_COMPARED: Final = 20


def choose(rule: Rule, value: Any) -> Rule | str:
    """Returns the alternative that a value most likely means, or a message."""
    return _CHOOSERS[rule["x-choose"]](rule, value)


def _alternatives(rule: Rule) -> list[Rule]:
    return cast("list[Rule]", rule["oneOf"])


def _by_type(rule: Rule, value: Any) -> Rule | str:
    for alternative in _alternatives(rule):
        if matches(value, alternative.get("type")):
            return alternative
    expected = " or ".join(expectation(alternative) for alternative in rule["oneOf"])
    return f"expected {expected}, found {found(value)}"


def _by_member(rule: Rule, value: dict[str, Any]) -> Rule | str:
    alternatives = {alternative["required"][0]: alternative for alternative in _alternatives(rule)}
    present = [name for name in alternatives if name in value]
    if len(present) > 1:  # `do` is a kind of task, and also a member of `for` tasks
        shared = set[str]().union(*(set(known_members(alternatives[name])) - {name} for name in present))
        present = [name for name in present if name not in shared] or present
    if len(present) == 1:
        return alternatives[present[0]]
    if present:
        return f"two kinds of {rule['x-kind']} in one: '{present[0]}' and '{present[1]}'"
    if "x-otherwise" in rule:
        return _alternatives(rule)[rule["x-otherwise"]]
    return _no_alternative(rule["x-kind"], list(alternatives), value)


def _no_alternative(kind: str, names: list[str], value: dict[str, Any]) -> str:
    for written in islice(value, _MOST_NAMES_COMPARED):
        if (meant := nearest(written, names)) is not None:
            return f"no {kind} kind here; did you mean '{meant}' instead of '{written}'?"
    return f"no {kind} kind here; expected one of {', '.join(names)}"


def _by_value(rule: Rule, value: dict[str, Any]) -> Rule | str:
    chosen = value.get(rule["x-member"])
    otherwise: Rule | None = None
    for alternative in _alternatives(rule):
        values = _values(alternative, rule["x-member"])
        if values is None:
            otherwise = alternative
        elif chosen in values:
            return alternative
    if otherwise is not None:
        return otherwise
    names = [name for alternative in rule["oneOf"] for name in _values(alternative, rule["x-member"]) or ()]
    return f"'{shown(chosen)}' is not one of {', '.join(names)}{did_you_mean(str(chosen), names)}"


def _values(alternative: Rule, member: str) -> list[Any] | None:
    rule = known_members(alternative)[member]
    return [rule["const"]] if "const" in rule else rule.get("enum")


_CHOOSERS: Final[dict[str, Callable[[Rule, Any], Rule | str]]] = {
    "type": _by_type,
    "member": _by_member,
    "value": _by_value,
}
