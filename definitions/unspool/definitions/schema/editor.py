"""The schema for editors: the same rules as `workflow.yaml`, in JSON Schema draft 7.

Editors know draft 7 only, such as yaml-language-server: they ignore `unevaluatedProperties` and
`dependentRequired`. So members that several rules share (`allOf`) are written out in each of them.
"""

from typing import Any, Final

from unspool.definitions.schema.rules import Rule, is_closed, source

DRAFT: Final = "http://json-schema.org/draft-07/schema#"

_FROM: Final = "#/$defs/"
_TO: Final = "#/definitions/"
_LEFT_OUT: Final = frozenset({"$schema", "$defs", "allOf", "unevaluatedProperties", "dependentRequired"})
"""Keywords that are written in another way."""


def editor_schema() -> Rule:
    """Returns the schema of definitions in draft 7, without the annotations of the checker."""
    root = source()
    definitions = root["$defs"]
    written = _Writer(definitions).rule(root)
    return {"$schema": DRAFT, **written, "definitions": _reachable(written, definitions)}


def _reachable(root: Rule, definitions: dict[str, Rule]) -> dict[str, Rule]:
    """Returns the definitions that the root refers to, directly or not, in the order of the source."""
    writer = _Writer(definitions)
    found: dict[str, Rule] = {}
    waiting = [root]
    while waiting:
        for name in _references(waiting.pop()):
            if name not in found:
                found[name] = writer.rule(definitions[name])
                waiting.append(found[name])
    return {name: found[name] for name in definitions if name in found}


def _references(part: Any) -> set[str]:
    if isinstance(part, dict):
        own = {part["$ref"].removeprefix(_TO)} if isinstance(part.get("$ref"), str) else set()
        return own.union(*map(_references, part.values()))
    return set[str]().union(*map(_references, part)) if isinstance(part, list) else set()


class _Writer:
    """Rewrites rules of the source."""

    def __init__(self, definitions: dict[str, Rule]) -> None:
        self._definitions = definitions

    def rule(self, rule: Rule) -> Rule:
        """Returns a rule in draft 7."""
        rule = self._with_shared_members(rule)
        written = {
            name: self._keyword(name, value)
            for name, value in rule.items()
            if name not in _LEFT_OUT and not name.startswith("x-")
        }
        if "dependentRequired" in rule:
            written["dependencies"] = rule["dependentRequired"]
        if "pattern" in rule:
            written["patternErrorMessage"] = f"This is not {rule['x-expects']}."
        if "allOf" in rule:
            written["allOf"] = [self.rule(part) for part in rule["allOf"]]
        if is_closed(rule):
            written["additionalProperties"] = False
        return written

    def _with_shared_members(self, rule: Rule) -> Rule:
        """Returns a rule in which parts that are references are replaced by their members."""
        for part in rule.get("allOf", ()):
            if "$ref" not in part:
                return rule
        merged: Rule = {}
        for part in rule.get("allOf", ()):
            merged = _merged(merged, self._definitions[part["$ref"].removeprefix(_FROM)])
        return _merged(merged, {name: value for name, value in rule.items() if name != "allOf"})

    def _keyword(self, name: str, value: Any) -> Any:
        if name == "properties":
            return {member: self._sub(rule) for member, rule in value.items() if not _is_refused(rule)}
        if name in {"items", "additionalProperties", "not"}:
            return self._sub(value)
        if name == "oneOf":
            return [self.rule(rule) for rule in value]
        return value.replace(_FROM, _TO) if name == "$ref" else value

    def _sub(self, value: Any) -> Any:
        return self.rule(value) if isinstance(value, dict) else value


def _merged(base: Rule, rule: Rule) -> Rule:
    """Returns both rules in one; the second one decides where both have a member."""
    properties = {**rule.get("properties", {}), **base.get("properties", {}), **rule.get("properties", {})}
    required = [*rule.get("required", ()), *base.get("required", ())]
    merged = {**base, **rule}
    if properties:
        merged["properties"] = properties
    if required:
        merged["required"] = list(dict.fromkeys(required))
    return merged


def _is_refused(rule: Any) -> bool:
    """Returns whether a member has a rule only for its message; the rule around it is closed."""
    return isinstance(rule, dict) and "x-because" in rule
