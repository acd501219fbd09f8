"""The schema `workflow.yaml`, and schemas of its kind. Each `$ref` is replaced by its target."""

from functools import cache
from importlib.resources import files
from typing import Any

from unspool.definitions.document import load
from unspool.definitions.json_pointer import parts

Rule = dict[str, Any]
"""A schema object."""


def source() -> Rule:
    """Returns the schema as it is written, for other validators."""
    text = files(__package__).joinpath("workflow.yaml").read_bytes()
    return load(text, name="workflow.yaml").value


@cache
def workflow() -> Rule:
    """Returns the schema of a workflow, with all references replaced."""
    return linked(source())


def linked(root: Rule) -> Rule:
    """Replaces all references of a schema, and returns it."""
    _link(root, root, set())
    return root


def _link(part: Any, root: Rule, seen: set[int]) -> None:
    if not isinstance(part, dict | list) or id(part) in seen:
        return
    seen.add(id(part))
    for key, member in part.items() if isinstance(part, dict) else enumerate(part):
        if isinstance(member, dict) and "$ref" in member:
            part[key] = _target(member["$ref"], root)
        _link(part[key], root, seen)


def _target(reference: str, root: Rule) -> Rule:
    target = root
    for step in parts(reference.removeprefix("#")):
        target = target[step]
    return target


def known_members(rule: Rule) -> dict[str, Any]:
    """Returns the members that a rule and its parts (`allOf`) define."""
    known = dict(rule.get("properties", {}))
    for part in rule.get("allOf", ()):
        known |= known_members(part)
    return known


def is_closed(rule: Rule) -> bool:
    """Returns whether unknown members are an error."""
    return rule.get("additionalProperties") is False or rule.get("unevaluatedProperties") is False
