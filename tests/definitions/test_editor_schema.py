"""The schema for editors (CONTRACT §1, `unspool schema`)."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from unspool.definitions.schema.editor import editor_schema

SCHEMA = editor_schema()


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft7Validator:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    return jsonschema.Draft7Validator(SCHEMA)


def rules(part: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields every rule of the schema with its path."""
    if isinstance(part, dict):
        yield path, part
    for step, member in (
        part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    ):
        yield from rules(member, f"{path}/{step}")


def test_every_member_is_described() -> None:
    undescribed = [
        f"{path}/properties/{name}"
        for path, rule in rules(SCHEMA)
        if not path.endswith("/properties")
        for name, member in rule.get("properties", {}).items()
        if isinstance(member, dict) and not _describes(member)
    ]
    assert undescribed == []


def _describes(rule: dict[str, Any]) -> bool:
    target = SCHEMA["definitions"][rule["$ref"].rpartition("/")[2]] if "$ref" in rule else rule
    return "description" in rule or "description" in target


def test_it_uses_only_what_editors_know() -> None:
    text = json.dumps(SCHEMA)
    for newer in ("$defs", "unevaluatedProperties", "dependentRequired", '"x-'):
        assert newer not in text


def test_every_reference_has_a_target_and_every_definition_is_used() -> None:
    used = {rule["$ref"] for _, rule in rules(SCHEMA) if isinstance(rule.get("$ref"), str)}
    assert used == {f"#/definitions/{name}" for name in SCHEMA["definitions"]}


def workflow(task: dict[str, Any], **document: Any) -> dict[str, Any]:
    head = {"dsl": "1.0.3", "namespace": "n", "name": "w", "version": "1.0.0", **document}
    return {"document": head, "do": [{"a": task}]}


SET = {"set": {"x": 1}}
SETTINGS = [
    (workflow(SET, metadata={"unspool": {"idempotencyKey": "${ .id }", "reuse": "ended"}}), True),
    (workflow(SET, metadata={"unspool": {"reuse": "ended"}}), False),
    (workflow(SET, metadata={"unspool": {"idempotencyKey": "x", "reuse": "often"}}), False),
    (workflow({"for": {"in": ".x"}, "do": [], "metadata": {"unspool": {"concurrency": 3}}}), True),
    (workflow({"for": {"in": ".x"}, "do": [], "metadata": {"unspool": {"concurrency": 0}}}), False),
    (workflow({"for": {"in": ".x"}, "do": [], "metadata": {"team": "a"}}), True),
    (workflow({"wait": {"second": 1}}), False),
    (workflow({"set": {"x": 1}, "iff": ".x"}), False),
]  # fmt: skip


@pytest.mark.parametrize(("definition", "valid"), SETTINGS)
def test_it_knows_the_settings_of_unspool_and_closed_objects(
    validator: jsonschema.Draft7Validator, definition: dict[str, Any], valid: bool
) -> None:
    assert validator.is_valid(definition) is valid
