"""`run: script` in Python (inventory I55-I58, I60; dsl-reference.md, "Script Process")."""

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest
from tests.processes import runs
from tests.task_contexts import task_context

from unspool.eventstore.records import TaskRequest
from unspool.eventstore.settings import BadSetting
from unspool.executor.handlers import default_handlers
from unspool.executor.outcome import Completed, Faulted
from unspool.executor.settings import ExecutorSettings


def kind(outcome: Faulted) -> tuple[str, int]:
    assert isinstance(outcome, Faulted), outcome
    return outcome.error.type.rpartition("/")[2], outcome.error.status


@pytest.mark.parametrize("script", [ExecutorSettings(), ExecutorSettings(allow="shell")], indirect=True)
async def test_off_unless_allowed(script, tmp_path) -> None:
    outcome = await script(f"open('{tmp_path}/done', 'w')")
    assert kind(outcome) == ("authorization", 403)
    assert "UNSPOOL_ALLOW" in outcome.error.detail
    assert not (tmp_path / "done").exists()


async def test_the_output_is_standard_output_as_text(script) -> None:
    assert await script("import sys\nprint('{\"a\": \"ä\"}'); print('e', file=sys.stderr)") == Completed(
        '{"a": "ä"}'
    )


async def test_arguments_as_a_list(script) -> None:
    """I60: values are argv, never code"""
    values = ["'); import os; (", "", "--help", None, 1.5, {"a": 1}]
    outcome = await script("import sys; print(sys.argv[1:])", arguments=values)
    assert outcome == Completed(str(["'); import os; (", "", "--help", "", "1.5", '{"a":1}']))


async def test_arguments_as_a_map(script) -> None:
    """I60"""
    code = (
        "import argparse\np = argparse.ArgumentParser()\np.add_argument('--message')\n"
        "p.add_argument('--level', default='info')\np.add_argument('--loud', action='store_true')\n"
        "print(p.parse_args())"
    )
    arguments = {"message": "hi there", "level": None, "loud": True}
    expected = "Namespace(message='hi there', level='info', loud=True)"
    assert await script(code, arguments=arguments) == Completed(expected)


async def test_stdin(script) -> None:
    code = "import sys; print(sys.stdin.read().upper())"
    assert await script(code, stdin="grüße") == Completed("GRÜSSE")
    assert await script(code, stdin={"a": 1}) == Completed('{"A":1}')
    assert await script(code) == Completed("")


async def test_the_environment_is_only_what_was_declared(script, monkeypatch) -> None:
    monkeypatch.setenv("REDIS_PASSWORD", "s3cret")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    code = "import os; print(sorted(os.environ))"
    outcome = await script(code, environment={"MINE": 1, "NONE": None})
    assert set(eval(outcome.output)) <= {"PATH", "HOME", "LANG", "MINE", "PWD", "OLDPWD", "SHLVL", "_"}
    assert "MINE" in outcome.output


async def test_the_directory_is_empty_and_private_and_is_removed_afterwards(script) -> None:
    code = (
        "import os, pathlib\npath = pathlib.Path.cwd()\nassert os.environ['HOME'] == str(path)\n"
        "print(list(path.iterdir()), oct(path.stat().st_mode & 0o777), path, sep='|')\n"
        "pathlib.Path('file').write_text('x')"
    )
    files, mode, directory = (await script(code)).output.split("|")
    assert (files, mode) == ("[]", "0o700")
    assert not os.path.lexists(os.path.dirname(directory))  # noqa: ASYNC240, PTH120, PTH - a look at a local path


async def test_packages_of_the_executor_and_modules_of_the_directory_are_not_seen(script) -> None:
    code = (
        "import importlib.util as u\nopen('mine.py', 'w')\nprint(u.find_spec('unspool'), u.find_spec('mine'))"
    )
    assert await script(code) == Completed("None None")


@pytest.mark.parametrize(
    "script", [ExecutorSettings(allow="script", script_python=sys.executable)], indirect=True
)
async def test_the_operator_can_choose_the_interpreter(script) -> None:
    assert await script("import sys, orjson; print(sys.executable)") == Completed(sys.executable)


async def test_an_exception_is_a_runtime_error_with_its_text(script) -> None:
    """I57"""
    outcome = await script(
        "import os\nraise ValueError('no ' + os.environ['KEY'])", environment={"KEY": "s3cret"}
    )
    assert kind(outcome) == ("runtime", 500)
    assert outcome.error.title == "Script failed"
    assert outcome.error.detail.startswith("the script ended with exit code 1: ")
    assert outcome.error.detail.endswith("ValueError: no ***")


async def test_the_exit_code(script) -> None:
    assert await script("exit(7)", **{"return": "code"}) == Completed(7)
    outcome = await script(
        "import sys; print('o'); print('e', file=sys.stderr); sys.exit(2)", **{"return": "all"}
    )
    assert outcome == Completed({"code": 2, "stdout": "o\n", "stderr": "e\n"})
    assert kind(await script("def (")) == ("runtime", 500)


@pytest.mark.parametrize(
    "script", [ExecutorSettings(allow="script", shell_max_output_bytes=1000)], indirect=True
)
async def test_output_is_limited(script) -> None:
    outcome = await script("while True: print('x' * 100)")
    assert kind(outcome) == ("runtime", 500)
    assert outcome.error.title == "Output too large"


async def test_output_that_is_not_utf_8(script) -> None:
    assert await script(r"import sys; sys.stdout.buffer.write(b'\xffa')") == Completed("\ufffda")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of another process")
@pytest.mark.parametrize("script", [ExecutorSettings(allow="script", script_memory_mb=100)], indirect=True)
async def test_memory_is_limited(script) -> None:
    outcome = await script("x = bytearray(200_000_000)")
    assert kind(outcome) == ("runtime", 500)
    assert outcome.error.detail.endswith("MemoryError")


@pytest.mark.parametrize(
    "script",
    [ExecutorSettings(allow="script", script_timeout_seconds=0.5, shell_kill_grace_seconds=0.1)],
    indirect=True,
)
async def test_time_is_limited(script) -> None:
    began = time.monotonic()
    outcome = await script("import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: pass")
    assert kind(outcome) == ("timeout", 408)
    assert time.monotonic() - began < 20


async def test_a_cancelled_script_ends_with_its_children(script, tmp_path, eventually) -> None:
    pids = tmp_path / "pids"
    code = (
        "import os, subprocess, sys, time\nchild = subprocess.Popen(['sleep', '60'])\n"
        f"open('{pids}.new', 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        f"os.rename('{pids}.new', '{pids}')\n"
        "time.sleep(60)"
    )
    task = asyncio.create_task(script(code))
    await eventually(pids.exists, "the script runs")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    numbers = [int(pid) for pid in pids.read_text().split()]
    await eventually(lambda: not any(map(runs, numbers)), "both processes end")


async def test_processes_that_multiply_end_with_the_script(script, tmp_path) -> None:
    """The number is limited here so that a failure does no harm."""
    code = (
        "import os, time\nfor _ in range(6): os.fork()\n"
        f"open('{tmp_path}/pids', 'a').write(f'{{os.getpid()}}\\n')\ntime.sleep(60)"
    )
    task = asyncio.create_task(script(code))
    async with asyncio.timeout(60):
        while not (tmp_path / "pids").exists() or len((tmp_path / "pids").read_text().split()) < 64:
            await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(60):
        while any(runs(int(pid)) for pid in (tmp_path / "pids").read_text().split()):
            await asyncio.sleep(0.02)


async def test_a_script_that_is_not_awaited(script, tmp_path, eventually) -> None:
    """I58"""
    done = tmp_path / "done"
    code = (
        f"import os, sys\nopen('{done}.new', 'w').write(sys.stdin.read() + os.getcwd())\n"
        f"os.rename('{done}.new', '{done}')"
    )
    assert await script(code, **{"await": False, "stdin": "in "}) == Completed(None)
    await eventually(done.exists, "the script ends")
    directory = Path(done.read_text().removeprefix("in ")).parent
    await eventually(lambda: not directory.exists(), "its directory is removed")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"arguments": ["a\0b"]}, "argument"),
        ({"arguments": "text"}, "arguments"),
        ({"environment": {"A": "\0"}}, "'A'"),
        ({"return": "everything"}, "return"),
        ({"code": 1}, "code"),
    ],
)
async def test_invalid_arguments_are_a_configuration_error_that_names_them(arguments, named) -> None:
    async with default_handlers(ExecutorSettings(allow="script")) as handlers:
        members = {"language": "python", "code": "1", **arguments}
        outcome = await handlers["script"](
            TaskRequest("e", "r", "/do/0/x", "script", members), task_context()
        )
    assert kind(outcome) == ("configuration", 400)
    assert named in outcome.error.detail


async def test_huge_arguments_are_a_runtime_error(script) -> None:
    outcome = await script("1", arguments=["x" * 10_000_000])
    assert kind(outcome) == ("runtime", 500)
    assert "could not be started" in outcome.error.detail


async def test_code_may_have_any_characters(script) -> None:
    code = "print('''\\x00'''.encode(), 'a\r\nb ü 😀')\r\nprint(2)\r\n#" + "x" * 300_000
    assert (await script("print('ü 😀 ${ .x }')\n#" + "x" * 300_000)).output == "ü 😀 ${ .x }"
    assert isinstance(await script(code), Faulted | Completed)
    assert kind(await script("print('\0')")) == ("runtime", 500)


async def test_a_setting_that_allows_something_unknown_is_refused() -> None:
    with pytest.raises(BadSetting, match="UNSPOOL_ALLOW must list shell, script or container, not 'all'"):
        async with default_handlers(ExecutorSettings(allow="shell,all")):
            pass


@pytest.mark.parametrize(
    "script", [ExecutorSettings(allow="script", script_python="/no/such/python")], indirect=True
)
async def test_an_interpreter_that_does_not_exist_is_a_configuration_error(script) -> None:
    error = (await script("print(1)")).error
    assert error.type.endswith("/configuration")
    assert (
        error.detail == "this executor has no '/no/such/python' for scripts in Python (UNSPOOL_SCRIPT_PYTHON)"
    )


async def test_errors_do_not_show_the_temporary_directory(script) -> None:
    code = "import os, sys\nsys.stderr.write(os.getcwd() + ' ' + os.getcwd() + '/a.txt\\n')\nmissing"
    detail = (await script(code)).error.detail
    assert "unspool-" not in detail
    assert 'File "script.py", line 3' in detail
    assert "work/a.txt" in detail
