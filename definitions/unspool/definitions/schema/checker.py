"""Checks a document against the schema.

A usual validator reports that a task matches none of twelve alternatives. This checker chooses the
alternative that the author most likely meant, and reports what is wrong with it. It also collects the values
that have a role in the schema (`x-role`). So the semantic checks need not know which members hold expressions
or names.
"""

import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, NamedTuple

from unspool.definitions.document import Document
from unspool.definitions.findings import Findings, TooManyProblems
from unspool.definitions.json_pointer import child
from unspool.definitions.schema.rules import Rule, is_closed, known_members, workflow
from unspool.definitions.schema.types import expectation, found, matches
from unspool.definitions.schema.unions import choose
from unspool.definitions.spelling import did_you_mean, nearest, shown

MAX_TASKS: Final = 10_000
"""Tasks of one definition."""

_MOST_TYPO_CHECKS: Final = 50
"""Members of an open object that are compared with the known members."""


class Occurrence(NamedTuple):
    """A value that has a role in the schema, such as an expression or the name of a task."""

    role: str
    value: Any
    pointer: str
    scope: str | None
    """Pointer of the list that holds the task around the value; None outside of lists."""


def check_structure(document: Document, findings: Findings) -> list[Occurrence]:
    """Checks a document against the schema. Returns the values that the semantic checks use.

    Raises:
        TooManyProblems: the limit of problems is reached.
    """
    if "specVersion" in document.value and "document" not in document.value:
        findings.error(
            "/specVersion",
            "this is a workflow of DSL 0.8, which is not supported; DSL 1.0 begins with 'document:'",
            at_key=True,
        )
        return []
    return check_with_rule(document, workflow(), findings)


def check_with_rule(document: Document, rule: Rule, findings: Findings) -> list[Occurrence]:
    """Checks a document against a schema as `rules.linked` returns it; else as `check_structure`."""
    checker = _Checker(findings)
    checker.visit(_Place(document.value, rule, "", None))
    return checker.occurrences


class _Place(NamedTuple):
    """A value, its rule, and its pointer."""

    value: Any
    rule: Rule
    pointer: str
    scope: str | None
    part: bool = False
    """Whether the rule is one of several for this value."""

    def member(self, name: str | int, rule: Rule) -> "_Place":
        return _Place(self.value[name], rule, child(self.pointer, name), self.scope)

    def under(self, rule: Rule) -> "_Place":
        return self._replace(rule=rule, part=True)


@dataclass(slots=True)
class _Checker:
    """One pass through a document."""

    findings: Findings
    occurrences: list[Occurrence] = field(default_factory=list)
    tasks: int = 0

    def visit(self, place: _Place) -> None:
        """Checks a value and all values inside it."""
        if not self._check_value(place):
            return
        place = self._record_role(place)
        for part in place.rule.get("allOf", ()):
            self.visit(place.under(part))
        if isinstance(place.value, dict):
            self._visit_members(place)
        elif isinstance(place.value, list):
            self._visit_items(place)
        if "x-choose" in place.rule:
            self._visit_alternative(place)

    # -- roles

    def _record_role(self, place: _Place) -> _Place:
        role = place.rule.get("x-role")
        if role is None:
            return place
        self.occurrences.append(Occurrence(role, place.value, place.pointer, place.scope))
        if role == "task":
            self._count_task(place)
        return place._replace(scope=place.pointer) if role in {"tasks", "branches"} else place

    def _count_task(self, place: _Place) -> None:
        self.tasks += 1
        if self.tasks > MAX_TASKS:
            self.findings.error(place.pointer, f"a definition has at most {MAX_TASKS} tasks", at_key=True)
            raise TooManyProblems

    # -- the value itself

    def _check_value(self, place: _Place) -> bool:
        message = _wrong_type(place) or _wrong_text(place) or _wrong_number(place) or _wrong_size(place)
        if message is not None:
            self.findings.error(place.pointer, message)
            return False
        if "x-warning" in place.rule:
            self.findings.warning(place.pointer, place.rule["x-warning"])
        instead = place.rule.get("x-instead", {})
        if instead and place.value in instead:
            self.findings.warning(place.pointer, f"'{place.value}' is written '{instead[place.value]}'")
        return True

    # -- its members

    def _visit_alternative(self, place: _Place) -> None:
        chosen = choose(place.rule, place.value)
        if isinstance(chosen, str):
            deciding = place.rule["x-member"] if place.rule["x-choose"] == "value" else None
            self.findings.error(child(place.pointer, deciding) if deciding else place.pointer, chosen)
        else:
            self.visit(place.under(chosen))

    def _visit_items(self, place: _Place) -> None:
        items = place.rule.get("items")
        if items is not None:
            for index in range(len(place.value)):
                self.visit(place.member(index, items))

    def _visit_members(self, place: _Place) -> None:
        self._check_required(place)
        known, others = place.rule.get("properties", {}), place.rule.get("additionalProperties")
        for name in place.value:
            rule = known.get(name, others)
            if isinstance(rule, dict):
                self._visit_member(place, name, rule)
        self._check_unknown(place)

    def _visit_member(self, place: _Place, name: str, rule: Rule) -> None:
        if "x-because" in rule:
            self.findings.error(child(place.pointer, name), rule["x-because"], at_key=True)
        else:
            self.visit(place.member(name, rule))

    def _check_required(self, place: _Place) -> None:
        for name in place.rule.get("required", ()):
            if name not in place.value:
                self.findings.error(place.pointer, f"missing property '{name}'")
        for name, needed in place.rule.get("dependentRequired", {}).items():
            if name in place.value and needed[0] not in place.value:
                self.findings.error(child(place.pointer, name), f"'{name}' needs '{needed[0]}'", at_key=True)

    def _check_unknown(self, place: _Place) -> None:
        if is_closed(place.rule):
            known = known_members(place.rule)
            for name in place.value:
                if name not in known:
                    message = f"unknown property '{shown(name)}'{did_you_mean(name, known)}"
                    self.findings.error(child(place.pointer, name), message, at_key=True)
        elif not place.part and "additionalProperties" not in place.rule:
            self._warn_of_typos(place, known_members(place.rule))

    def _warn_of_typos(self, place: _Place, known: dict[str, Any]) -> None:
        """Warns of probable typing errors in an object that accepts any member."""
        if not known or len(place.value) > _MOST_TYPO_CHECKS:
            return
        for name in place.value:
            if name not in known and (meant := nearest(name, known)) is not None:
                message = f"'{name}' has no meaning here; did you mean '{meant}'?"
                self.findings.warning(child(place.pointer, name), message, at_key=True)


# -- problems of a single value


def _wrong_type(place: _Place) -> str | None:
    if matches(place.value, place.rule.get("type")):
        return None
    in_quotes = place.rule["type"] == "string" and isinstance(place.value, bool | int | float)
    hint = "; write it in quotes" if in_quotes else ""
    return f"expected {expectation(place.rule)}, found {found(place.value)}{hint}"


def _wrong_text(place: _Place) -> str | None:
    value, rule = place.value, place.rule
    if "enum" in rule and value not in rule["enum"]:
        names = rule["enum"]
        meant = did_you_mean(value, names) if isinstance(value, str) else ""
        return f"'{shown(value)}' is not one of {', '.join(names)}{meant}"
    if "pattern" in rule and isinstance(value, str) and not _pattern(rule["pattern"]).search(value):
        return f"'{shown(value)}' is not {rule['x-expects']}"
    if isinstance(value, str) and len(value) < rule.get("minLength", 0):
        return "this text is empty"
    return None


@cache
def _pattern(source: str) -> re.Pattern[str]:
    r"""Compiles a pattern of JSON Schema. Its `$` matches only at the end of the text, as `\Z` of Python."""
    return re.compile(re.sub(r"(?<!\\)\$", r"\\Z", source))


def _wrong_number(place: _Place) -> str | None:
    low, high = place.rule.get("minimum"), place.rule.get("maximum")
    if low is not None and not low <= place.value <= high:
        return f"{place.value} is not between {low} and {high}"
    return None


def _wrong_size(place: _Place) -> str | None:
    value, rule = place.value, place.rule
    if isinstance(value, list) and len(value) < rule.get("minItems", 0):
        return "at least one item is needed"
    if not isinstance(value, dict):
        return None
    if len(value) < rule.get("minProperties", 0):
        return "at least one member is needed"
    if len(value) > rule.get("maxProperties", len(value)):
        first, second, *_ = value
        if value[first] is None:
            return f"'{shown(first)}' is empty; indent what belongs to it, such as '{shown(second)}'"
        return f"one name is expected, found '{shown(first)}' and '{shown(second)}'; begin each with '- '"
    return None
