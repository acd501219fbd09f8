"""`call: mcp` of servers that are processes (inventory J23; dsl-reference.md, "MCP STDIO Transport")."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from tests.executor.test_killed_executor import runs
from tests.task_contexts import task_context

from unspool.eventstore.records import TaskRequest
from unspool.executor.handlers import default_handlers
from unspool.executor.outcome import Completed, Faulted, Outcome
from unspool.executor.settings import ExecutorSettings

pytest.importorskip("mcp", reason="mcp is not installed")

OFFICIAL = Path(__file__).with_name("agents") / "mcp_server.py"
SMALL = Path(__file__).with_name("agents") / "stdio_server.py"

Call = Callable[..., Awaitable[Outcome]]


@pytest.fixture
async def mcp(request: pytest.FixtureRequest) -> AsyncIterator[Call]:
    """Runs an `mcp` task: `await mcp(["python", "server.py"], parameters=…)`."""
    settings = getattr(request, "param", ExecutorSettings(allow="shell"))
    async with default_handlers(settings) as handlers:

        async def call(command: list[str], method: str = "tools/call", environment=None, **others) -> Outcome:
            stdio = {"command": command[0], "arguments": command[1:], "environment": environment}
            arguments = {"$kind": "mcp", "method": method, "transport": {"stdio": stdio}, **others}
            return await handlers["mcp"](
                TaskRequest("e1", "r1", "/do/0/call", "call", arguments), task_context()
            )

        yield call


def small(*arguments: object) -> list[str]:
    """The command of the small server."""
    return [sys.executable, str(SMALL), *map(str, arguments)]


TOOL = {"name": "x", "arguments": {"a": None}}


def error_of(outcome: Outcome) -> tuple[str, str, str]:
    assert isinstance(outcome, Faulted), outcome
    assert outcome.error.title
    return outcome.error.type.rpartition("/")[2], outcome.error.title, outcome.error.detail or ""


async def test_a_tool_of_a_server_made_with_the_official_library_is_called(mcp) -> None:
    outcome = await mcp(
        [sys.executable, str(OFFICIAL), "stdio"], parameters={"name": "add", "arguments": {"a": 1, "b": 2}}
    )
    assert outcome.output["structuredContent"] == {"result": 3}


async def test_a_server_of_others_is_called(mcp) -> None:
    """The reference server `mcp-server-time`, from PyPI."""
    pytest.importorskip("mcp_server_time", reason="mcp-server-time is not installed")
    parameters = {
        "name": "convert_time",
        "arguments": {"source_timezone": "UTC", "time": "16:30", "target_timezone": "Asia/Tokyo"},
    }
    command = [sys.executable, "-m", "mcp_server_time", "--local-timezone", "UTC"]
    outcome = await mcp(command, parameters=parameters)
    assert outcome.output["isError"] is False
    assert outcome.output["structuredContent"]["time_difference"] == "+9.0h"


async def test_the_environment_is_that_of_the_author(mcp, monkeypatch) -> None:
    monkeypatch.setenv("UNSPOOL_SECRET_TOKEN", "do not show")
    outcome = await mcp(small("echo"), environment={"TOKEN": "t"}, parameters=TOOL)
    seen = outcome.output["structuredContent"]
    assert seen["arguments"]["arguments"] == {"a": None}
    assert seen["environment"]["TOKEN"] == "t"
    assert set(seen["environment"]) <= {"PATH", "HOME", "LANG", "LC_CTYPE", "PWD", "SHLVL", "_", "TOKEN"}
    assert seen["environment"]["HOME"] == seen["home"]
    assert not await asyncio.to_thread(os.path.lexists, seen["home"])


async def test_texts_for_people_are_ignored(mcp) -> None:
    assert await mcp(small("babble"), parameters=TOOL) == Completed({"content": []})


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        ("malformed", ("communication", "Unreadable response", "not a message of JSON-RPC")),
        ("another id", ("communication", "Unreadable response", "another request")),
        ("no id", ("runtime", "MCP error", "cannot read this")),
        ("error", ("runtime", "MCP error", "no such tool (code -32602)")),
        ("leave", ("communication", "Server ended", "exit code 3: cannot log in with ***")),
    ],
)
async def test_answers_that_are_no_results(mcp, behaviour, error) -> None:
    """V15"""
    outcome = await mcp(small(behaviour), environment={"PASSWORD": "hunter2-long"}, parameters=TOOL)
    kind, title, detail = error_of(outcome)
    assert (kind, title) == error[:2]
    assert error[2] in detail


LIMITED = ExecutorSettings(allow="shell", http_max_response_bytes=100_000, shell_max_output_bytes=100_000)


@pytest.mark.parametrize("mcp", [LIMITED], indirect=True)
@pytest.mark.parametrize("behaviour", ["flood", "wail"])
async def test_endless_output_ends_at_the_limit(mcp, behaviour) -> None:
    kind, title, _ = error_of(await mcp(small(behaviour), parameters=TOOL))
    assert (kind, title) == ("communication", "Response too large")


@pytest.mark.parametrize("mcp", [ExecutorSettings()], indirect=True)
async def test_a_server_is_started_only_where_programs_are_allowed(mcp, tmp_path) -> None:
    kind, _, detail = error_of(await mcp(["touch", str(tmp_path / "file")]))
    assert kind == "authorization"
    assert "--allow shell" in detail
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("command", "environment", "cause"),
    [(["a\0b"], None, "NUL"), ([" "], None, "empty"), (["x"], {"A=": "1"}, "environment variable")],
)
async def test_bad_arguments_are_configuration_errors(mcp, command, environment, cause) -> None:
    kind, _, detail = error_of(await mcp(command, environment=environment))
    assert kind == "configuration"
    assert cause in detail


async def test_a_program_that_does_not_exist_is_an_error(mcp) -> None:
    kind, title, detail = error_of(await mcp(["no-such-program-here"]))
    assert (kind, title) == ("communication", "Server ended")
    assert "exit code 127" in detail


async def pids_in(file: Path, eventually) -> list[int]:
    await eventually(file.exists, "the tool runs")
    return [int(pid) for pid in (await asyncio.to_thread(file.read_text)).split()]


@pytest.mark.parametrize(
    "mcp", [ExecutorSettings(allow="shell", shell_kill_grace_seconds=0.1)], indirect=True
)
@pytest.mark.parametrize("behaviour", ["wait", "stubborn"])
async def test_a_cancelled_call_leaves_no_process(mcp, behaviour, tmp_path, eventually) -> None:
    call = asyncio.create_task(mcp(small(behaviour, tmp_path / "pids"), parameters=TOOL))
    pids = await pids_in(tmp_path / "pids", eventually)
    assert all(runs(pid) for pid in pids)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await eventually(lambda: not any(runs(pid) for pid in pids), "the server and its child end")


async def test_a_call_that_takes_too_long_is_a_timeout_error(mcp, tmp_path, eventually) -> None:
    command = ["sh", "-c", 'echo $$ > "$0"; exec sleep 3600', str(tmp_path / "pids")]
    kind, _, detail = error_of(await mcp(command, parameters=TOOL, timeout={"seconds": 1}))
    assert kind == "timeout"
    assert "longer than 1 s" in detail
    pids = await asyncio.to_thread((tmp_path / "pids").read_text) if (tmp_path / "pids").exists() else ""
    await eventually(lambda: not any(runs(int(pid)) for pid in pids.split()), "the server ends")


EXECUTOR = """
import asyncio, sys
from tests.task_contexts import task_context
from unspool.eventstore.records import (TaskRequest)
from unspool.executor.handlers import default_handlers
from unspool.executor.settings import ExecutorSettings

async def main():
    transport = {"stdio": {"command": sys.argv[1], "arguments": sys.argv[2:]}}
    arguments = {"$kind": "mcp", "method": "tools/call", "parameters": {"name": "x"}, "transport": transport}
    async with default_handlers(ExecutorSettings(allow="shell")) as handlers:
        await handlers["mcp"](TaskRequest("e", "r", "/do/0/a", "call", arguments), task_context())

asyncio.run(main())
"""


async def test_a_killed_executor_leaves_no_server(tmp_path, eventually) -> None:
    """The executor is a process of its own, which SIGKILL ends in the middle of a call."""
    root = Path(__file__).parents[2]
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(root), "TMPDIR": str(temporary)}
    with subprocess.Popen(
        [sys.executable, "-c", EXECUTOR, *small("wait", tmp_path / "pids")], env=environment, cwd=root
    ) as executor:
        pids = await pids_in(tmp_path / "pids", eventually)
        executor.kill()
    await eventually(lambda: not any(runs(pid) for pid in pids), "the server and its child end")
    await eventually(lambda: not list(temporary.iterdir()), "its directory is removed")
