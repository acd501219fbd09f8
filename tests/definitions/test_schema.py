"""The structure of definitions: the messages about mistakes, by kind of task."""
# ruff: noqa: E501 - in tables of messages a case is a line

from pathlib import Path

import jsonschema
import pytest

from unspool.definitions.checks import check, parse_definition
from unspool.definitions.document import load
from unspool.definitions.problems import MAX_PROBLEMS, DefinitionInvalid, Severity
from unspool.definitions.schema import MAX_TASKS
from unspool.definitions.schema.rules import source

HEAD = "document: {dsl: '1.0.3', namespace: test, name: w, version: 1.0.0}\n"


def messages(text: str) -> list[str]:
    return [f"{problem.pointer}: {problem.message}" for problem in check(load(text))]


def of_task(task: str) -> list[str]:
    return messages(f"{HEAD}do:\n- a: {task}\n")


def test_a_small_workflow_has_no_problems() -> None:
    assert messages(HEAD + "do:\n- a:\n    set: {x: 1}\n- b:\n    wait: PT1S\n") == []
    assert messages(HEAD + "do: []\n") == []


@pytest.mark.parametrize(
    ("task", "says"),
    [
        ("{wait: {second: 1}}", "/do/0/a/wait/second: unknown property 'second', did you mean 'seconds'?"),
        ("{cal: http}", "/do/0/a: no task kind here; did you mean 'call' instead of 'cal'?"),
        ("{xyz: 1}", "/do/0/a: no task kind here; expected one of call, do, emit, for, fork, listen, raise, run, set, switch, try, wait"),
        ("{call: f, set: {x: 1}}", "/do/0/a: two kinds of task in one: 'call' and 'set'"),
        ("{for: {in: .x}, do: [], call: f}", "/do/0/a: two kinds of task in one: 'call' and 'for'"),
        ("", "/do/0/a: expected a mapping, found nothing"),
        ("{wait: 5}", "/do/0/a/wait: expected a mapping or an ISO 8601 duration such as 'PT1M30S', or a runtime expression, found the number 5"),
        ("{wait: 1 second}", "/do/0/a/wait: '1 second' is not an ISO 8601 duration such as 'PT1M30S', or a runtime expression"),
        ("{wait: {seconds: 1.5}}", "/do/0/a/wait/seconds: expected a whole number, found the number 1.5"),
        ("{set: {}}", "/do/0/a/set: at least one member is needed"),
        ("{set: {x: 1}, iff: .x}", "/do/0/a/iff: unknown property 'iff', did you mean 'if'?"),
        ("{set: {x: 1}, then: 5}", "/do/0/a/then: expected text, found the number 5; write it in quotes"),
        ("{switch: []}", "/do/0/a/switch: at least one item is needed"),
        ("{switch: [{c: {when: .x}}]}", "/do/0/a/switch/0/c: missing property 'then'"),
        ("{for: {in: .x}, do: {b: {set: {x: 1}}}}", "/do/0/a/do: expected a list of tasks, each beginning with '- ', found a mapping"),
        ("{try: [], catch: {retry: {backoff: {constant: {}, linear: {}}}}}", "/do/0/a/catch/retry/backoff: two kinds of backoff in one: 'constant' and 'linear'"),
        ("{raise: {error: {type: 'http://x', status: '400'}}}", "/do/0/a/raise/error/status: expected a whole number, found the text '400'"),
        ("{try: [], catch: {retry: {backoff: {exponential: {factor: two}}}}}", "/do/0/a/catch/retry/backoff/exponential/factor: expected a number, found the text 'two'"),
        ("{try: [], catch: {retry: {backoff: {exponential: {factor: -3}}}}}", "/do/0/a/catch/retry/backoff/exponential/factor: -3 is not between 1 and 1000"),
        ("{run: {shel: {command: ls}}}", "/do/0/a/run: no process kind here; did you mean 'shell' instead of 'shel'?"),
        ("{run: {shell: {command: ls}, return: stdot}}", "/do/0/a/run/return: 'stdot' is not one of stdout, stderr, code, all, none, did you mean 'stdout'?"),
        ("{run: {container: {image: i, lifetime: {cleanup: alway}}}}", "/do/0/a/run/container/lifetime/cleanup: 'alway' is not one of eventually, always, never, did you mean 'always'?"),
        ("{run: {container: {image: i, lifetime: {cleanup: always, after: PT1S}}}}", "/do/0/a/run/container/lifetime/after: 'after' goes only with 'cleanup: eventually'"),
        ("{run: {script: {language: js, code: x, source: {endpoint: x}}}}", "/do/0/a/run/script: two kinds of script in one: 'code' and 'source'"),
        ("{listen: {to: {any: [], until: {any: [], until: .x}}}}", "/do/0/a/listen/to/until/until: an 'until' has no 'until' of its own"),
        ("{emit: {event: {with: {data: 1}}}}", "/do/0/a/emit/event/with: missing property 'type'"),
        ("{call: http, with: {method: get, endpoint: 'http://x', hedaers: {}}}", "/do/0/a/with/hedaers: unknown property 'hedaers', did you mean 'headers'?"),
        ("{call: http, with: {method: get, endpoint: 'http://a b'}}", "/do/0/a/with/endpoint: 'http://a b' is not a URI, a URI template or a runtime expression, without blanks outside of '${ }'"),
        ("{call: http, with: {method: get, endpoint: {uri: x, authentication: {basic: {username: u}}}}}", "/do/0/a/with/endpoint/authentication/basic: missing property 'password'"),
        ("{call: grpc, with: {proto: {endpoint: x}, method: m, service: {name: s, host: h, port: 70000}}}", "/do/0/a/with/service/port: 70000 is not between 0 and 65535"),
        ("{call: mcp, with: {method: tools/cal, transport: {http: {endpoint: x}}}}", "/do/0/a/with/method: 'tools/cal' is not one of tools/list, tools/call, prompts/list, prompts/get, resources/list, resources/read, resources/templates/list, did you mean 'tools/call'?"),
    ],
)  # fmt: skip
def test_a_mistake_is_reported_with_a_suggestion(task: str, says: str) -> None:
    assert of_task(task) == [says]


def test_versions_without_quotes_get_a_hint() -> None:
    text = "document: {dsl: 1.0, namespace: n, name: w, version: 1.0}\ndo: []\n"
    assert messages(text) == [
        "/document/dsl: expected a version of the DSL that is supported here, such as '1.0.3', found the number 1.0; write it in quotes",
        "/document/version: expected a semantic version such as '1.0.0', found the number 1.0; write it in quotes",
    ]


@pytest.mark.parametrize("version", ["1.0.0", "1.0.1", "1.0.3", "1.0.0-alpha5", "1.0.12+build"])
def test_all_of_1_0_is_accepted(version: str) -> None:
    """Inventory A1."""
    assert messages(f"document: {{dsl: {version}, namespace: n, name: w, version: 1.0.0}}\ndo: []\n") == []


@pytest.mark.parametrize("version", ["'0.8'", "1.1.0", "2.0.0", "'1.0'", "1.0.3.1"])
def test_other_versions_are_rejected(version: str) -> None:
    (message,) = messages(f"document: {{dsl: {version}, namespace: n, name: w, version: 1.0.0}}\ndo: []\n")
    assert "is not a version of the DSL that is supported here" in message


def test_a_workflow_of_dsl_0_8_has_one_problem() -> None:
    (message,) = messages("id: greet\nspecVersion: '0.8'\nstates: []\n")
    assert message.startswith("/specVersion: this is a workflow of DSL 0.8, which is not supported")


def test_all_problems_are_found_in_the_order_of_the_text() -> None:
    text = (
        HEAD + "do:\n- a:\n    wait: {second: 1}\n- b: {cal: x}\nschedule: {read: data}\nuse: {error: {}}\n"
    )
    problems = check(load(text))
    assert [problem.line for problem in problems] == [4, 5, 6, 7]
    assert problems[2].message == "'read' needs 'on'"


def test_wrong_indentation_is_recognised() -> None:
    assert messages(HEAD + "do:\n- a:\n  wait: PT1S\n") == [
        "/do/0: 'a' is empty; indent what belongs to it, such as 'wait'"
    ]
    assert messages(HEAD + "do:\n- a: {wait: PT1S}\n  b: {wait: PT1S}\n") == [
        "/do/0: one name is expected, found 'a' and 'b'; begin each with '- '"
    ]


def test_unknown_members_of_an_open_object_are_accepted_with_a_warning_for_typing_errors() -> None:
    """Inventory A5."""
    (problem,) = check(load(HEAD + "do: []\nouput: {as: .x}\nx-team: {a: 1}\n"))
    assert problem.severity is Severity.WARNING
    assert problem.message == "'ouput' has no meaning here; did you mean 'output'?"


def test_an_old_spelling_is_accepted_with_a_warning() -> None:
    """Inventory V14."""
    text = HEAD + "do: []\nuse: {authentications: {a: {oauth2: {authority: x, grant: client-credentials}}}}\n"
    (problem,) = check(load(text))
    assert (problem.severity, problem.message) == (
        Severity.WARNING,
        "'client-credentials' is written 'client_credentials'",
    )


@pytest.mark.parametrize("scheme", ["basic", "bearer", "digest", "oauth2", "oidc"])
def test_an_expression_in_place_of_the_members_of_a_scheme_is_accepted_with_a_warning(scheme: str) -> None:
    """Inventory K1."""
    text = HEAD + f"do: []\nuse: {{authentications: {{a: {{{scheme}: '${{ .x }}'}}}}}}\n"
    (problem,) = check(load(text))
    assert (problem.severity, problem.pointer) == (Severity.WARNING, f"/use/authentications/a/{scheme}")


def test_expressions_may_have_several_lines() -> None:
    """Inventory D3."""
    assert messages(HEAD + "do:\n- a:\n    wait: |\n      ${\n        .x\n      }\n") == []


@pytest.mark.parametrize(
    "endpoint",
    ["http://x/{id}", "${ .uri }", "http://x/${ .id }/y", "${ .base }/y", "file://app/a", "rel/path"],
)
def test_endpoints(endpoint: str) -> None:
    """Inventory D7, L1, L4."""
    assert of_task(f"{{call: http, with: {{method: get, endpoint: '{endpoint}'}}}}") == []


@pytest.mark.parametrize(
    "task",
    [
        "{call: http, with: {method: get, endpoint: x, query: {a: 1, b: true, c: [1, x]}, headers: {a: 1}}}",
        "{run: {shell: {command: x, arguments: {a: 1}}}}",
        "{run: {shell: {command: x, arguments: [a]}}}",
        "{run: {script: {language: python, code: x, arguments: {a: 1}}}}",
        "{run: {workflow: {namespace: n, name: w, input: [1]}}}",
        "{try: [], catch: {errors: {with: {details: x}}}}",
        "{raise: {error: {type: x, status: 1, instance: '${ .i }', title: '${ .t }'}}}",
        "{emit: {event: {with: {type: t, time: '${ .t }'}}}}",
    ],
)
def test_deliberate_differences_from_the_official_schema(task: str) -> None:
    """Inventory J6, V25, I60 to I62, I30, D14."""
    assert of_task(task) == []


def test_too_many_tasks_are_one_problem() -> None:
    (message,) = messages(HEAD + "do:\n" + "- a: {do: []}\n" * (MAX_TASKS + 5))
    assert message.endswith(f"a definition has at most {MAX_TASKS} tasks")


def test_the_number_of_problems_is_limited() -> None:
    assert len(messages(HEAD + "do:\n" + "- {a: {sett: 1}}\n" * 5000)) == MAX_PROBLEMS


def test_parse_definition_ignores_warnings() -> None:
    assert parse_definition(HEAD + "do: []\nouput: 1\n", name="w.yaml").name == "w.yaml"
    with pytest.raises(DefinitionInvalid) as caught:
        parse_definition(HEAD + "dp: []\nouput: 1\n", name="w.yaml")
    assert [problem.message for problem in caught.value.problems] == ["missing property 'do'"]


def test_tasks_nested_to_the_limit_are_checked() -> None:
    nested = '{"a":{"do":['
    head = '{"document":{"dsl":"1.0.3","namespace":"n","name":"w","version":"1.0.0"},"do":['
    deepest = 31
    assert messages(f'{head}{nested * deepest}{{"b":{{"sett":{{}}}}}}{"]}}" * deepest}]}}') == [
        "/do" + "/0/a/do" * deepest + "/0/b: no task kind here; did you mean 'set' instead of 'sett'?"
    ]


def test_the_schema_is_a_json_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(source())


def specification(request: pytest.FixtureRequest, folder: str) -> list[Path]:
    path: Path = request.config.rootpath.parent / "shared" / "spec" / folder
    if not path.is_dir():
        pytest.skip(f"the specification is not at {path}")
    return sorted(path.glob("*.yaml"))


def test_every_example_of_the_specification_is_accepted(request: pytest.FixtureRequest) -> None:
    for file in specification(request, "examples"):
        parse_definition(file.read_bytes(), name=file.name)


def test_every_invalid_document_of_the_specification_is_rejected(request: pytest.FixtureRequest) -> None:
    for file in specification(request, "invalid"):
        with pytest.raises(DefinitionInvalid):
            parse_definition(file.read_bytes(), name=file.name)
