"""Functions on the command line: `run`, `dev` and `validate` with `--functions` (docs/functions.md)."""

import pytest
from tests.cli.conftest import home, program, start_program  # noqa: F401 - fixtures

FUNCTIONS = """\
from unspool.functions import Context, TaskError, function


@function("greet")
def greet(name: str, context: Context) -> str:
    if not name:
        raise TaskError("https://example.com/errors/no-name", 422, detail="the name is empty")
    return f"Hello {name} ({context.attempt})"


@function("greet", version="2.0.0")
async def greet_all(people: dict) -> list[str]:
    return [f"Hello {name}" for name in people["names"]]
"""

HEAD = "document: {dsl: '1.0.3', namespace: shop, name: w, version: '1.0.0'}\n"


@pytest.fixture
def workflow(home):  # noqa: F811 - a fixture
    (home / "greetings.py").write_text(FUNCTIONS)

    def write(text: str) -> str:
        (home / "w.yaml").write_text(HEAD + text)
        return "w.yaml"

    return write


def test_a_run_calls_functions(program, workflow):  # noqa: F811
    file = workflow(
        """
do:
  - one: {call: 'greet:1.0.0', with: {name: '${ .name }'}}
  - all: {call: greet, with: {names: ['${ . }', Bob]}}
"""
    )
    ran = program("run", file, "--functions", "greetings", "--input", '{"name": "Ada"}')
    assert (ran.code, ran.json) == (0, ["Hello Hello Ada (1)", "Hello Bob"])
    assert ran.stderr == ""
    by_path = program("run", file, "--input", '{"name": "Ada"}', UNSPOOL_FUNCTIONS="./greetings.py")
    assert by_path.json == ran.json


def test_an_error_of_a_function_can_be_caught_and_is_the_error_of_the_run(program, workflow):  # noqa: F811
    file = workflow("do: [{one: {call: 'greet:1.0.0', with: {name: ''}}}]")
    ran = program("run", file, "--functions", "greetings")
    assert ran.code == 1
    assert ran.problem == {
        "type": "https://example.com/errors/no-name",
        "status": 422,
        "title": "no-name",
        "detail": "the name is empty",
        "instance": "/do/0/one",
    }


def test_a_module_that_cannot_be_used_ends_the_command(program, workflow):  # noqa: F811
    ran = program("run", workflow("do: [{one: {call: greet}}]"), "--functions", "greeting")
    assert ran.code == 2
    assert ran.stderr.startswith("unspool: greeting: there is no module 'greeting'")


def test_validate_knows_the_functions_of_modules(program, workflow):  # noqa: F811
    file = workflow("do: [{one: {call: greet}}, {two: {call: 'greet:2.0.0'}}, {three: {call: gret}}]")
    known = program("validate", file, "--functions", "greetings")
    assert (known.code, known.stdout) == (0, "")
    [line] = known.stderr.splitlines()
    assert "no function 'gret' in use.functions, did you mean 'greet'? (/do/2/three/call) [warning]" in line
    unknown = program("validate", file)
    assert unknown.code == 0
    assert len(unknown.stderr.splitlines()) == 3
    assert (
        "no function 'greet' in use.functions; so an executor must have a function of that name"
        in unknown.stderr
    )
