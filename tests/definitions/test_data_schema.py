"""JSON Schemas of authors: verdicts, limits, no access to other documents (inventory F6, F7)."""

import time
from typing import Any

import pytest

from unspool.definitions.data_schema import MAX_MESSAGE, MAX_REPORTED, BadSchema, DataSchema, SchemaProblem

Json = Any


def problems(schema: Json, value: Json) -> list[str]:
    return [str(problem) for problem in DataSchema.compile(schema).problems(value)]


def test_valid_data_has_no_problems() -> None:
    assert problems({"type": "object", "required": ["a"]}, {"a": 1}) == []
    assert problems(True, {"a": 1}) == []


def test_problems_name_place_and_rule_but_not_the_data() -> None:
    schema = {
        "properties": {"pin": {"type": "string", "maxLength": 3}, "n/m": {"items": {"enum": [1, 2]}}},
        "required": ["z"],
    }
    found = problems(schema, {"pin": "hunter2", "n/m": ["hunter2"]})
    assert sorted(found) == [
        'at /: "z" is a required property',
        "at /n~1m/0: the value is not one of 1 or 2",
        "at /pin: the value is longer than 3 characters",
    ]


def test_many_and_long_problems_are_cut() -> None:
    found = problems({"items": {"enum": ["x" * 1000]}}, [0] * 1000)
    assert len(found) == MAX_REPORTED
    assert all(len(problem) <= MAX_MESSAGE for problem in found)


def test_the_draft_is_the_one_named_or_2020_12() -> None:
    tuple_of_text = {"items": [{"type": "string"}]}
    assert problems({"$schema": "http://json-schema.org/draft-07/schema#", **tuple_of_text}, [1])
    assert problems({"prefixItems": [{"type": "string"}]}, [1])
    with pytest.raises(BadSchema):
        DataSchema.compile(tuple_of_text)


def test_formats_are_annotations_in_every_draft() -> None:
    assert problems({"format": "date"}, "no date") == []
    assert problems({"$schema": "http://json-schema.org/draft-07/schema#", "format": "date"}, "no date") == []


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "http://127.0.0.1:9/schema.json"},
        {"$ref": "file:///etc/hostname"},
        {"properties": {"a": {"$ref": "other.json"}}},
        {"$ref": "#/$defs/missing"},
        {"$ref": "#"},
        {"allOf": [{"$ref": "#"}]},
        {"$schema": "https://example.com/mine"},
        {"properties": {"a": {"$id": "https://example.com/a"}}},
        {"properties": {"const": {"$id": "https://example.com/a"}}},
        {"const": {"$id": "https://example.com/a"}, "not": {"$ref": "#/const"}},
        {"type": "objct"},
        {"pattern": "("},
        {"pattern": "(?=a)b"},
        {"pattern": r"(a)\1"},
        {"pattern": "(a{1000}){1000}"},
        {"multipleOf": 0},
        "text",
        5,
        None,
    ],
)
def test_invalid_schemas_are_rejected_immediately(schema: Json) -> None:
    with pytest.raises(BadSchema) as caught:
        DataSchema.compile(schema)
    assert 0 < len(str(caught.value)) < MAX_MESSAGE + 50


def test_data_in_a_schema_is_no_schema() -> None:
    data = {"$id": "x", "$anchor": "y"}
    schema = {"const": data, "default": data, "enum": [data], "examples": [data]}
    assert problems(schema, data) == []
    assert problems(schema, {"$id": "z"})


def test_patterns_take_linear_time() -> None:
    started = time.process_time()
    assert problems({"pattern": "^(a+)+$"}, "a" * 100_000 + "b")
    assert time.process_time() - started < 2


def doubling(levels: int, keyword: str) -> Json:
    definitions: dict[str, Json] = {"n0": {"type": "string"}}
    for level in range(1, levels):
        definitions[f"n{level}"] = {keyword: [{"$ref": f"#/$defs/n{level - 1}"}] * 2}
    return {"$ref": f"#/$defs/n{levels - 1}", "$defs": definitions}


@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "oneOf"])
def test_alternatives_that_multiply_are_rejected(keyword: str) -> None:
    assert DataSchema.compile(doubling(8, keyword)).problems(5)
    with pytest.raises(BadSchema, match="alternatives multiply"):
        DataSchema.compile(doubling(40, keyword))


def test_alternatives_that_multiply_along_properties_are_refused() -> None:
    schema = doubling(40, "anyOf")
    for definition in schema["$defs"].values():
        if "anyOf" in definition:
            definition["properties"] = {"a": {"anyOf": definition.pop("anyOf")}}
    with pytest.raises(BadSchema, match="alternatives multiply"):
        DataSchema.compile(schema)


SYNTAX_TREE = {
    "$defs": {
        "node": {
            "anyOf": [
                {"properties": {"kind": {"const": kind}, "child": {"$ref": "#/$defs/node"}}} for kind in "abc"
            ]
        }
    },
    "$ref": "#/$defs/node",
}


def tree(depth: int, leaf: Json) -> Json:
    value = leaf
    for level in range(depth):
        value = {"kind": "abc"[level % 3], "child": value}
    return value


def test_recursive_schemas_are_checked_in_bounded_time() -> None:
    schema = DataSchema.compile(SYNTAX_TREE)
    started = time.process_time()
    assert schema.problems(tree(90, {"kind": "a"})) == []
    assert schema.problems(tree(90, {"kind": "z"})) == [
        SchemaProblem("", "does not match the schema, and is nested too deeply to say where")
    ]
    assert schema.problems(tree(2, {"kind": "z"}))
    assert time.process_time() - started < 2


def test_very_deep_data_is_rejected() -> None:
    value: Json = {}
    for _ in range(100_000):
        value = {"a": value}
    linked = {"type": "object", "properties": {"a": {"$ref": "#"}}}
    assert problems(linked, value) == ["at /: nested more than 200 levels deep"]


def test_a_problem_has_the_whole_pointer_and_its_text_is_short() -> None:
    name = "is it: wrong? a/b~" + "x" * MAX_MESSAGE
    schema = DataSchema.compile({"additionalProperties": {"type": "integer"}})
    [problem] = schema.problems({name: "secret"})
    assert problem.pointer == "/" + name.replace("~", "~0").replace("/", "~1")
    assert problem.message == 'the value is not of type "integer"'
    assert str(problem) == f"at {problem.pointer}"[:MAX_MESSAGE]
