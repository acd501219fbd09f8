"""Kinds of calls from packages (entry points `unspool.tasks`), and the examples of functions."""
# ruff: noqa: E501 - in tables a case is a line

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from unspool.executor.functions.installed_kinds import load_kinds

EXAMPLES = Path(__file__).parents[2] / "examples"

PLUGIN = """
from contextlib import asynccontextmanager
from unspool.executor.functions.task_kind import Completed, Rejected, TaskKind, errors

@asynccontextmanager
async def open_handler(services):
    async def handle(request, context):
        if request.arguments["n"] < 0:
            raise Rejected(errors.runtime("negative"))
        return Completed([request.kind, request.idempotency_key, request.arguments["n"] * 2])
    yield handle

class Duck:
    name = "duck"
    open_handler = staticmethod(open_handler)

duck = Duck()
double = TaskKind("double", open_handler, schema={"type": "object", "required": ["n"]}, version="2.1.0")
bad_schema = TaskKind("bad_schema", open_handler, schema={"type": 7})
bad_version = TaskKind("bad_version", open_handler, version="2")
other_name = TaskKind("another", open_handler)
nothing = 7
"""


@pytest.fixture
def installed(tmp_path: Path, modules: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution with entry points in a directory of `sys.path`."""
    modules(PLUGIN, "own_kinds")
    names = ("duck", "double", "bad_schema", "bad_version", "other_name", "nothing", "missing")
    lines = [f"{name} = own_kinds:{name}" for name in names]
    information = tmp_path / "own_kinds-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: own-kinds\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        "\n".join(("[unspool.tasks]", *lines, "broken = no_module:x"))
    )
    monkeypatch.syspath_prepend(str(tmp_path))


def test_only_the_named_kinds_are_loaded_and_a_bad_one_does_not_stop_the_others(installed, caplog):
    assert load_kinds([]) == []
    found = load_kinds(
        [
            "broken",
            "double",
            "duck",
            "missing",
            "nothing",
            "bad_schema",
            "bad_version",
            "other_name",
            "dubble",
        ]
    )
    assert [(each.identity, each.queue) for each in found] == [
        ("double:2.1.0", "tasks:double"),
        ("duck:1.0.0", "tasks:duck"),
    ]
    for cause in (
        "the kind of call 'broken' is not available: no_module:x of the package own-kinds cannot be imported",
        "'missing' is not available: own_kinds:missing of the package own-kinds cannot be imported: AttributeError",
        "'nothing' is not available: own_kinds:nothing of the package own-kinds is no TaskKind",
        "'bad_schema' is not available: the schema of own_kinds:bad_schema",
        "'bad_version' is not available: own_kinds:bad_version of the package own-kinds: '2' is not a semantic",
        "'other_name' is not available: own_kinds:other_name of the package own-kinds has the name 'another'",
        "'dubble' is not available: no installed package has it in the group unspool.tasks, did you mean 'double'?",
    ):
        assert cause in caplog.text


async def test_a_kind_is_called_with_its_arguments(installed, serve_functions):
    call = await serve_functions(load_kinds(["double"]))
    assert (await call("double", {"n": 21})).output == ["function", "e1/7", 42]
    for input_, detail in (
        ({}, 'the arguments of double: at /: "n" is a required property'),
        ([1], "not an object"),
    ):
        error = (await call("double", input_)).error
        assert error.type.endswith("/validation")
        assert detail in error.detail
    assert (await call("double", {"n": -1})).error.detail == "negative"


def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=environment.pop("cwd", None),
        env={**os.environ, **environment},
    )


@pytest.mark.timeout(300)
def test_the_example_package_adds_a_call(tmp_path: Path) -> None:
    pip = (
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--target",
        str(tmp_path / "site"),
    )
    built = run(*pip, str(EXAMPLES / "own-call"))
    assert built.returncode == 0, built.stderr
    connection = sqlite3.connect(tmp_path / "shop.db")
    connection.executescript("create table stock (sku, count); insert into stock values ('lamp', 3)")
    connection.close()
    environment = {
        "PYTHONPATH": str(tmp_path / "site"),
        "SHOP_DATABASE": str(tmp_path / "shop.db"),
        "XDG_DATA_HOME": str(tmp_path / "data"),
    }
    command = ("unspool.cli", "run", str(EXAMPLES / "own-call/stock.yaml"), "--input", '{"sku": "lamp"}')
    ran = run(*command, "--tasks", "sql", **environment)
    assert ran.stdout == '{"sku":"lamp","count":3}\n', ran.stderr
    not_named = run(*command, **environment)
    assert not_named.returncode == 1
    assert "no executor has registered a function 'sql'" in not_named.stderr


@pytest.mark.timeout(300)
def test_the_example_of_functions_runs_and_its_tests_pass(tmp_path: Path) -> None:
    environment = {
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "cwd": str(EXAMPLES / "functions"),
    }
    lines = '[{"sku": "lamp", "price": 60, "quantity": 2}]'
    command = ("unspool.cli", "run", "order.yaml", "--functions", "shop", "--input")
    ran = run(*command, f'{{"id": 7, "lines": {lines}}}', **environment)
    assert ran.stdout == '{"number":"R-7","total":120.0}\n', ran.stderr
    free = run(*command, '{"id": 8}', **environment)
    assert free.stdout == '{"number":"none","total":0,"why":"the total is 0"}\n', free.stderr
    tests = run(
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        os.devnull,
        "--rootdir",
        ".",
        "test_shop.py",
        **environment,
    )
    assert "3 passed" in tests.stdout, tests.stdout
