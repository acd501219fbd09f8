"""Compares our schema with the official one: both give the same verdict on thousands of mutated examples.

Intended differences are recognised by the content of the document, not by the mutation. docs/checks.md
lists them.
"""

import copy
import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from unspool.definitions.document import load
from unspool.definitions.findings import Findings, TooManyProblems
from unspool.definitions.problems import Severity
from unspool.definitions.schema import check_structure
from unspool.definitions.schema.editor import editor_schema
from unspool.definitions.schema.rules import source

Json = Any
Path_ = tuple[str | int, ...]

MUTATIONS = 3000

VALUES: list[Json] = [
    None, True, 5, 1.5, -3, "", "x", "a b", "PT1S", "1.0.0", "${ .a }", "${ .a\n| .b }", "http://x/${ .a }/b",
    [], {}, {"a": 1}, ["x"], [{"a": 1}], {"use": "x"}, {"seconds": 1}, {"minutes": 1.0},
]  # fmt: skip


UNSPOOL: list[Json] = [
    {
        "document": {
            "dsl": "1.0.3",
            "namespace": "n",
            "name": "settings",
            "version": "1.0.0",
            "metadata": {"unspool": {"idempotencyKey": "${ .id }", "reuse": "ended"}},
        },
        "do": [
            {"a": {"for": {"in": ".x"}, "metadata": {"unspool": {"concurrency": 3}}, "do": []}},
            {
                "b": {
                    "call": "grpc",
                    "with": {"service": {"name": "s", "host": "h"}, "method": "m", "arguments": [{}]},
                    "metadata": {"unspool": {"tls": True}},
                }
            },
        ],
    }
]
"""A document with the settings that only Unspool knows."""


def places(value: Json, path: Path_ = ()) -> Iterator[tuple[Path_, Json]]:
    yield path, value
    members = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for step, member in members:
        yield from places(member, (*path, step))


class Mutator:
    def __init__(self, documents: list[Json], seed: int) -> None:
        self.random = random.Random(seed)
        self.documents = documents
        self.everywhere = [place for document in documents for place in places(document) if place[0]]
        self.keys = sorted({path[-1] for path, _ in self.everywhere if isinstance(path[-1], str)})

    def mutated(self) -> Json:
        document = copy.deepcopy(self.random.choice(self.documents))
        path, value = self.random.choice([place for place in places(document) if place[0]])
        parent = document
        for step in path[:-1]:
            parent = parent[step]
        self.random.choice(
            [self.delete, self.rename, self.retype, self.swap, self.add, self.repeat, self.transplant]
        )(parent, path[-1], value)
        return document

    def delete(self, parent: Json, step: Any, value: Json) -> None:
        del parent[step]

    def rename(self, parent: Json, step: Any, value: Json) -> None:
        if isinstance(parent, dict):
            parent[self.random.choice([*self.keys, step[:-1], step + "s"])] = parent.pop(step)

    def retype(self, parent: Json, step: Any, value: Json) -> None:
        parent[step] = copy.deepcopy(self.random.choice(VALUES))

    def swap(self, parent: Json, step: Any, value: Json) -> None:
        parent[step] = copy.deepcopy(self.random.choice(self.everywhere)[1])

    def add(self, parent: Json, step: Any, value: Json) -> None:
        if isinstance(value, dict):
            value[self.random.choice(self.keys)] = copy.deepcopy(self.random.choice(self.everywhere)[1])

    def repeat(self, parent: Json, step: Any, value: Json) -> None:
        if isinstance(parent, list):
            parent.append(copy.deepcopy(value))

    def transplant(self, parent: Json, step: Any, value: Json) -> None:
        parent[step] = copy.deepcopy(
            self.random.choice([other for path, other in self.everywhere if path[-1] == step])
        )


def accepted(document: Json) -> bool:
    findings = Findings(load(json.dumps(document)))
    try:
        check_structure(findings.document, findings)
    except TooManyProblems:
        return False
    return not any(problem.severity is Severity.ERROR for problem in findings.problems)


# -- intended differences: the document as the official schema accepts it


def officially_written(document: Json) -> Json:
    """Replaces everything that only our schema accepts by a form that the official schema accepts."""
    document = copy.deepcopy(document)
    for path, value in list(places(document)):
        if isinstance(value, dict):
            for name, member in value.items():
                value[name] = _officially(name, member, path)
            if "workflow" in path[-1:] and {"namespace", "name"} <= value.keys():
                value.setdefault("version", "1.0.0")  # I62: the version may be left out
            if path[-1:] == ("with",) and {"service", "method"} <= value.keys():
                value.setdefault("proto", {"endpoint": "x"})  # J20: server reflection
    return document


def _officially(name: str, member: Json, path: Path_) -> Json:
    if name == "arguments" and path[-1:] == ("with",) and _is_list_or_expression(member):
        return {}  # J19: a stream of requests
    if isinstance(member, str) and re.fullmatch(r"\s*\$\{.+\}\s*", member, re.DOTALL):
        if name in {"basic", "bearer", "digest", "oauth2", "oidc"}:
            return {"use": "x"}  # K1: an expression in place of the members of a scheme
        if name in {"time", "instance"}:
            return "x"  # D14: an expression where the official `oneOf` matches twice
        return "${ . }"  # D3: expressions of several lines
    if isinstance(member, str) and name in {
        "endpoint",
        "uri",
        "source",
        "type",
        "authority",
        "server",
        "dataschema",
    }:
        return re.sub(r"\$\{[^}]*\}", "x", member)  # D7: expressions within a URI
    if name in {"query", "headers"} and "with" in path[-1:] and isinstance(member, dict):
        return {key: _scalar_as_text(value, lists=name == "query") for key, value in member.items()}  # J6
    if (
        name == "arguments"
        and path[-1:] in {("container",), ("script",), ("shell",)}
        and isinstance(member, dict)
    ):
        return []  # V25: arguments by name
    if name == "input" and path[-1:] == ("workflow",) and "run" in path[-2:]:
        return {}  # I62: any input
    if name == "grant" and member == "client-credentials":
        return "client_credentials"  # V14
    return member


def _is_list_or_expression(value: Json) -> bool:
    return isinstance(value, list) or (
        isinstance(value, str) and re.fullmatch(r"\s*\$\{.+\}\s*", value, re.DOTALL) is not None
    )


def _scalar_as_text(value: Json, *, lists: bool) -> Json:
    scalars = (str, int, float)
    if isinstance(value, scalars) or (
        lists and isinstance(value, list) and all(isinstance(one, scalars) for one in value)
    ):
        return "x"
    return value


def refused_on_purpose(document: Json) -> bool:
    """Returns whether our schema refuses a document on purpose.

    A1: only DSL 1.0.x; integers with a fraction; two authentication schemes, one of them malformed.
    """
    dsl = document.get("document", {}).get("dsl") if isinstance(document.get("document"), dict) else None
    if isinstance(dsl, str) and not dsl.startswith("1.0."):
        return True
    for _, value in places(document):
        if isinstance(value, float) and value.is_integer():
            return True
        if (
            isinstance(value, dict)
            and len({"basic", "bearer", "digest", "oauth2", "oidc"} & value.keys()) > 1
        ):
            return True
    return False


@pytest.fixture(scope="module")
def examples(request: pytest.FixtureRequest) -> list[Json]:
    folder: Path = request.config.rootpath.parent / "shared" / "spec" / "examples"
    if not folder.is_dir():
        pytest.skip(f"the specification's examples are not at {folder}")
    return [load(file.read_bytes()).value for file in sorted(folder.glob("*.yaml"))]


@pytest.fixture(scope="module")
def official(request: pytest.FixtureRequest) -> jsonschema_rs.Validator:
    file: Path = request.config.rootpath.parent / "shared" / "spec" / "schema-workflow.yaml"
    if not file.is_file():
        pytest.skip(f"the official schema is not at {file}")
    return jsonschema_rs.Draft202012Validator(load(file.read_bytes()).value)


@pytest.mark.parametrize("seed", [1, 2])
def test_mutated_examples_get_the_official_verdict(
    examples: list[Json], official: jsonschema_rs.Validator, seed: int
) -> None:
    mutator = Mutator(examples, seed)
    refusals = 0
    for _ in range(MUTATIONS):
        document = mutator.mutated()
        ours = accepted(document)
        refusals += not ours
        if ours != official.is_valid(document):
            explained = (
                refused_on_purpose(document) if not ours else official.is_valid(officially_written(document))
            )
            assert explained, json.dumps(document)
    assert MUTATIONS // 4 < refusals < 3 * MUTATIONS // 4


VALIDATORS = {
    "source": jsonschema_rs.Draft202012Validator(source()),
    "editor": jsonschema_rs.Draft7Validator(editor_schema()),
}


@pytest.mark.parametrize("schema", VALIDATORS)
def test_the_checker_agrees_with_any_validator_of_our_schemas(examples: list[Json], schema: str) -> None:
    mutator = Mutator([*examples, *UNSPOOL], seed=3)
    for _ in range(MUTATIONS):
        document = mutator.mutated()
        if not any(isinstance(value, float) and value.is_integer() for _, value in places(document)):
            assert accepted(document) == VALIDATORS[schema].is_valid(document), json.dumps(document)
