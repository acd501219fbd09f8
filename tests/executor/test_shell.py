"""`run: shell` (inventory I55-I58, I61; dsl-reference.md, "Shell Process")."""

import asyncio
import os
import time
from pathlib import Path

import pytest
from tests.processes import runs
from tests.task_contexts import task_context

from unspool.eventstore.monitoring.trace_context import trace_context
from unspool.eventstore.records import TaskRequest
from unspool.executor.handlers import default_handlers
from unspool.executor.outcome import Completed, Faulted, Outcome
from unspool.executor.settings import ExecutorSettings


def kind(outcome: Faulted) -> tuple[str, int]:
    assert isinstance(outcome, Faulted), outcome
    return outcome.error.type.rpartition("/")[2], outcome.error.status


@pytest.mark.parametrize("shell", [ExecutorSettings()], indirect=True)
async def test_off_unless_allowed(shell, tmp_path) -> None:
    outcome = await shell(f"touch {tmp_path}/done")
    assert kind(outcome) == ("authorization", 403)
    assert not (tmp_path / "done").exists()


@pytest.mark.parametrize(
    ("returns", "output"),
    [
        ("stdout", "out\n"),
        ("stderr", "err"),
        ("code", 0),
        ("none", None),
        ("all", {"code": 0, "stdout": "out\n\n", "stderr": "err\n"}),
    ],
)
async def test_return_modes(shell, returns, output) -> None:
    """I56: exactly one trailing newline is removed, none with `all`"""
    command = "echo out; echo; echo err >&2"
    assert await shell(command, **{"return": returns}) == Completed(output)


async def test_the_default_is_standard_output_as_text(shell) -> None:
    assert await shell("""echo '{"a": 1}'""") == Completed('{"a": 1}')


@pytest.mark.parametrize(
    ("returns", "output"),
    [("code", 3), ("stderr", "bad"), ("all", {"code": 3, "stdout": "", "stderr": "bad\n"})],
)
async def test_return_modes_that_show_a_failure(shell, returns, output) -> None:
    """I57"""
    assert await shell("echo bad >&2; exit 3", **{"return": returns}) == Completed(output)


@pytest.mark.parametrize("returns", ["stdout", "none"])
async def test_a_failure_is_an_error_with_the_others(shell, returns) -> None:
    """I57"""
    outcome = await shell("echo bad >&2; exit 3", **{"return": returns})
    assert kind(outcome) == ("runtime", 500)
    assert outcome.error.detail == "the command ended with exit code 3: bad"


async def test_a_declared_value_is_not_in_the_error(shell) -> None:
    for value in ("s3cret", "x[0]@s[1]@"):
        outcome = await shell('echo "no $KEY" >&2; exit 1', environment={"KEY": value})
        assert outcome.error.detail.endswith(": no ***")


KEY = "-----BEGIN KEY-----\n" + "".join(f"{n:02}{'MIIEvQ' * 10}\n" for n in range(80)) + "-----END KEY-----\n"
LINE = KEY.splitlines()[40]


@pytest.mark.parametrize("command", ['echo "$KEY"', 'echo "$KEY" | head -20', f"echo {LINE}"])
async def test_no_line_of_a_long_value_is_in_the_error(shell, command) -> None:
    outcome = await shell(f"({command}) >&2; exit 1", environment={"KEY": KEY, "A": "a"})
    assert "MIIEvQ" not in outcome.error.detail
    assert "***" in outcome.error.detail


async def test_documents_in_the_environment_take_no_time_to_mask(shell) -> None:
    documents = {f"D{n}": f"{n}<a href='x'>&\u00fc</a>\n" * 4000 for n in range(12)}
    began = time.process_time()
    outcome = await shell('echo "no $KEY $D3 end" >&2; exit 1', environment={"KEY": "s3cret", **documents})
    assert outcome.error.detail.startswith("the command ended with exit code 1: no *** ***")
    assert "href" not in outcome.error.detail
    assert time.process_time() - began < 3


async def test_the_exit_code_of_a_signal_is_128_plus_its_number(shell) -> None:
    assert await shell("kill -TERM $$", **{"return": "code"}) == Completed(143)


async def test_arguments_as_a_list(shell) -> None:
    """I61: values are argv, never shell text"""
    command = 'echo "$#"; printf "%s\\n" "$@"'
    arguments = ["$(echo no)", "; echo no", "", None, True, 1.5, {"a": 1}]
    expected = "7\n$(echo no)\n; echo no\n\n\ntrue\n1.5\n" + '{"a":1}'
    assert await shell(command, arguments=arguments) == Completed(expected)


async def test_arguments_as_a_map(shell) -> None:
    """I60, I61: absent values are left out, true is a flag"""
    arguments = {"name": "a b", "count": 2, "verbose": True, "quiet": False, "none": None}
    assert await shell('printf "[%s]" "$@"', arguments=arguments) == Completed(
        "[--name][a b][--count][2][--verbose]"
    )


@pytest.mark.parametrize("command", ["echo", "/bin/echo", "  echo\n"])
@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (["Hello", "$HOME; x"], "Hello $HOME; x"),
        ({"name": "a b", "quiet": False, "v": True}, "--name a b --v"),
        ([], ""),
        (None, ""),
    ],
)
async def test_a_command_that_is_only_a_program_is_run_with_the_arguments(
    shell, command, arguments, output
) -> None:
    """I61"""
    assert await shell(command, arguments=arguments) == Completed(output)


@pytest.mark.parametrize("command", ["echo $#", "A=1", "echo;", "~"])
async def test_any_other_command_is_parsed_by_the_shell(shell, command) -> None:
    """I61"""
    expected = {"echo $#": "1", "A=1": "", "echo;": "", "~": None}[command]
    outcome = await shell(command, arguments=["argument"])
    assert (outcome.output if isinstance(outcome, Completed) else None) == expected


async def test_a_builtin_of_the_shell_is_run_with_the_arguments(shell) -> None:
    """I61"""
    assert await shell("exit", **{"arguments": [7], "return": "code"}) == Completed(7)


async def test_a_program_that_is_not_awaited_gets_its_arguments(shell, tmp_path, eventually) -> None:
    """I58, I61"""
    await shell("touch", **{"arguments": [str(tmp_path / "done")], "await": False})
    await eventually((tmp_path / "done").exists, "the program runs with its argument")


async def test_stdin(shell) -> None:
    command = 'input=$(cat); echo "STDIN was: $input"; echo "ARGS are $1 $2"'
    outcome = await shell(command, stdin="Hello World", arguments=["Foo", "Bar"])
    assert outcome == Completed("STDIN was: Hello World\nARGS are Foo Bar")


async def test_no_stdin_is_an_empty_one(shell) -> None:
    assert await shell("cat; echo end") == Completed("end")


async def test_large_stdin_that_is_not_read(shell) -> None:
    assert await shell("echo done", stdin="x" * 1_000_000) == Completed("done")


async def test_large_stdin_that_is_read(shell) -> None:
    assert await shell("wc -c", stdin="x" * 1_000_000) == Completed("1000000")


async def test_the_environment_is_only_what_was_declared(shell, monkeypatch) -> None:
    monkeypatch.setenv("REDIS_PASSWORD", "s3cret")
    outcome = await shell("env | cut -d= -f1 | sort", environment={"MINE": 1, "NONE": None})
    assert set(outcome.output.split()) <= {"PATH", "HOME", "LANG", "MINE", "PWD", "OLDPWD", "SHLVL", "_"}
    assert "MINE" in outcome.output.split()


async def test_a_command_gets_the_trace_context(shell) -> None:
    token = trace_context.set({"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})
    try:
        outcome = await shell('echo "$TRACEPARENT"')
    finally:
        trace_context.reset(token)
    assert outcome.output == f"00-{'a' * 32}-{'b' * 16}-01"


async def test_the_directory_is_empty_and_private_and_is_removed_afterwards(shell) -> None:
    outcome = await shell('[ "$HOME" = "$PWD" ] && ls -A && touch file && stat -c %a . file && pwd')
    *modes, directory = outcome.output.split()
    assert modes == ["700", "600"]
    assert not os.path.lexists(directory)  # noqa: ASYNC240, PTH - a look at a local path


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"arguments": ["a\0b"]}, "argument"),
        ({"arguments": {"a\0": 1}}, "argument"),
        ({"arguments": "text"}, "arguments"),
        ({"environment": {"A=B": "c"}}, "'A=B'"),
        ({"environment": {"": "c"}}, "''"),
        ({"environment": {"A": "\0"}}, "'A'"),
        ({"environment": ["A"]}, "environment"),
        ({"return": "everything"}, "return"),
        ({"return": ["code"]}, "return"),
    ],
)
async def test_invalid_arguments_are_a_configuration_error_that_names_them(shell, arguments, named) -> None:
    outcome = await shell("echo", **arguments)
    assert kind(outcome) == ("configuration", 400)
    assert named in outcome.error.detail


async def test_a_command_that_cannot_be_started_is_a_runtime_error(shell) -> None:
    """I57"""
    outcome = await shell("echo", arguments=["x" * 10_000_000])
    assert kind(outcome) == ("runtime", 500)
    assert "could not be started" in outcome.error.detail


@pytest.mark.parametrize(
    "shell", [ExecutorSettings(allow_shell=True, shell_max_output_bytes=1000)], indirect=True
)
@pytest.mark.parametrize("stream", ["1", "2"])
async def test_output_is_limited(shell, stream) -> None:
    assert (await shell(f"head -c 1000 /dev/zero >&{stream}", **{"return": "code"})).output == 0
    outcome = await shell(f"yes >&{stream}", **{"return": "code"})
    assert kind(outcome) == ("runtime", 500)
    assert outcome.error.title == "Output too large"


async def test_output_that_is_not_utf_8(shell) -> None:
    assert await shell(r"printf '\377a'") == Completed("\ufffda")


async def test_a_background_child_that_holds_the_output_is_killed(shell, eventually) -> None:
    began = time.monotonic()
    outcome = await shell("sleep 60 & echo $!")
    assert time.monotonic() - began < 50
    await eventually(lambda: not runs(int(outcome.output)), "the background child is killed")


@pytest.mark.parametrize("escape", ["setsid", "cd / && setsid", "env -i setsid"])
async def test_a_child_in_a_session_of_its_own_is_not_awaited_and_killed(
    shell, tmp_path, eventually, escape
) -> None:
    began, ready = time.monotonic(), tmp_path / "ready"
    child = f"{escape} sh -c 'echo $$; : > {ready}; exec sleep 600'"
    outcome = await shell(f"({child}) & read -r _ < /dev/null; while [ ! -e {ready} ]; do sleep 0.1; done")
    assert time.monotonic() - began < 300
    await eventually(lambda: not runs(int(outcome.output)), "the child is killed")


async def test_a_cancelled_command_ends_with_a_child_in_a_session_of_its_own(
    shell, tmp_path, eventually
) -> None:
    pid = tmp_path / "pid"
    child = f"setsid sh -c 'echo $$ > {pid}.new; mv {pid}.new {pid}; exec sleep 600'"
    task = asyncio.create_task(shell(f"({child} &); sleep 600"))
    await eventually(pid.exists, "the child runs")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await eventually(lambda: not runs(int(pid.read_text())), "the child is killed")


async def test_a_cancelled_command_ends_with_its_whole_group(shell, tmp_path, eventually) -> None:
    pids = tmp_path / "pids"
    command = f"echo $$ >> {pids}; sh -c 'echo $$ >> {pids}; sleep 60; true'; true"
    task = asyncio.create_task(shell(command))
    await eventually(lambda: pids.exists() and len(pids.read_text().split()) == 2, "both processes run")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    first, second = (int(pid) for pid in pids.read_text().split())
    await eventually(lambda: not runs(first) and not runs(second), "both processes end")


@pytest.mark.parametrize(
    "shell", [ExecutorSettings(allow_shell=True, shell_kill_grace_seconds=30)], indirect=True
)
async def test_a_cancelled_command_may_clean_up(shell, tmp_path, eventually) -> None:
    ready, cleaned = tmp_path / "ready", tmp_path / "cleaned"
    command = f"trap ': > {cleaned}; exit' TERM; sleep 60 & : > {ready}; wait"
    task = asyncio.create_task(shell(command))
    await eventually(ready.exists, "the command runs")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned.exists()


@pytest.mark.parametrize(
    "shell", [ExecutorSettings(allow_shell=True, shell_kill_grace_seconds=0.1)], indirect=True
)
async def test_a_cancelled_command_that_will_not_end_is_killed(shell, tmp_path, eventually) -> None:
    ready = tmp_path / "pid"
    command = f"trap '' TERM; echo $$ > {ready}.new; mv {ready}.new {ready}; while true; do sleep 1; done"
    task = asyncio.create_task(shell(command))
    await eventually(ready.exists, "the command runs")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    pid = int(ready.read_text())
    await eventually(lambda: not runs(pid), "the process ends")


async def test_a_command_that_is_not_awaited(shell, tmp_path, eventually) -> None:
    """I58: the workflow goes on, the command too; its directory is removed when it ends."""
    done, may_end = tmp_path / "done", tmp_path / "done.end"
    wait = 'while [ ! -e "$1.end" ]; do sleep 0.1; done'
    command = f'pwd > "$1.new"; cat >> "$1.new"; echo "$KEY" >> "$1.new"; {wait}; mv "$1.new" "$1"; exit 3'
    outcome = await shell(
        command, **{"arguments": [str(done)], "await": False, "stdin": "in\n", "environment": {"KEY": "k"}}
    )
    assert outcome == Completed(None)
    assert not done.exists()
    may_end.touch()
    await eventually(done.exists, "the command ends")
    directory, *rest = done.read_text().splitlines()
    assert rest == ["in", "k"]
    await eventually(lambda: not Path(directory).exists(), "its directory is removed")


async def test_many_at_once(shell) -> None:
    outcomes = await asyncio.gather(*(shell('echo "$1"', arguments=[n]) for n in range(20)))
    assert outcomes == [Completed(str(n)) for n in range(20)]


def test_on_uvloop() -> None:
    """Its transports are not asyncio's own."""
    uvloop = pytest.importorskip("uvloop")

    async def run() -> list[Outcome]:
        async with default_handlers(ExecutorSettings(allow_shell=True)) as handlers:
            commands = (
                {"command": "wc -c", "stdin": "x" * 1_000_000},
                {"command": "echo done", "stdin": "x" * 1_000_000},
                {"command": "sleep 60 & echo out; echo err >&2; exit 3", "return": "all"},
                {"command": "cat", "stdin": "in", "await": False},
            )
            requests = (TaskRequest("e", "r", "/do/0/x", "shell", command) for command in commands)
            return [await handlers["shell"](request, task_context()) for request in requests]

    assert uvloop.run(run()) == [
        Completed("1000000"),
        Completed("done"),
        Completed({"code": 3, "stdout": "out\n", "stderr": "err\n"}),
        Completed(None),
    ]
