"""`unspool run`: with the real program."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from typing import TextIO

import pytest

FAULT = {
    "type": "https://example.com/errors/refused",
    "status": 409,
    "title": "Refused",
    "detail": "not today",
}


def test_a_completed_run_prints_its_output_and_nothing_else(program):
    result = program("run", "greet.yaml", "--input", '{"name": "Ada"}')
    assert (result.code, result.stderr) == (0, "")
    assert result.json == {"greeting": "Hello Ada"}


def test_input_from_a_file_and_from_standard_input(program, home):
    (home / "input.json").write_text('{"name": "file"}')
    assert program("run", "greet.yaml", "--input", "@input.json").json == {"greeting": "Hello file"}
    assert program("run", "greet.yaml", "--input", "-", stdin='{"name": "pipe"}').json == {
        "greeting": "Hello pipe"
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [("{", "line 1"), ("[" * 300 + "]" * 300, "deeper than 100"), ("[18446744073709551615]", "64 bits")],
)
def test_invalid_input_is_2_and_says_why(unspool, text, says):
    refused = unspool("run", "greet.yaml", "--input", text)
    assert refused.code == 2
    assert says in refused.stderr


def test_a_fault_is_1_and_the_error_is_the_last_line_on_standard_error(program):
    result = program("run", "refuse.yaml")
    assert (result.code, result.stdout) == (1, "")
    assert result.problem.items() >= FAULT.items()


def test_an_invalid_definition_is_2_and_every_problem_is_printed(program):
    result = program("run", "invalid.yaml")
    assert (result.code, result.stdout) == (2, "")
    assert result.stderr.startswith("invalid.yaml:7:")


def test_the_shell_is_allowed(program):
    result = program("run", "shell.yaml")
    assert (result.code, result.json) == (0, "hello")


def test_what_may_run_can_be_restricted(program):
    refused = program("run", "shell.yaml", "--allow", "script")
    assert refused.code == 1
    assert (refused.problem["status"], refused.problem["title"]) == (403, "Not allowed")
    assert "UNSPOOL_ALLOW=shell" in refused.problem["detail"]
    assert program("run", "shell.yaml", "--allow", "none").code == 1
    assert program("run", "shell.yaml", "--allow", "script, shell").json == "hello"
    unknown = program("run", "shell.yaml", "--allow", "shell,scripts")
    assert (unknown.code, unknown.stdout) == (2, "")
    assert "shell, script or container, not 'scripts'" in unknown.stderr


@pytest.mark.parametrize(
    ("variable", "value", "allows"),
    [
        ("UNSPOOL_ALLOW", "none", False),
        ("UNSPOOL_ALLOW", "script", False),
        ("UNSPOOL_ALLOW", "shell", True),
        ("UNSPOOL_ALLOW", "", True),
        ("UNSPOOL_ALLOW_SHELL", "false", False),
        ("UNSPOOL_ALLOW_SHELL", "true", True),
    ],
)
def test_settings_restrict_what_may_run(program, monkeypatch, variable, value, allows):
    monkeypatch.setenv(variable, value)
    assert program("run", "shell.yaml").code == (0 if allows else 1)


def test_the_option_comes_before_the_settings_of_what_may_run(program, monkeypatch):
    monkeypatch.setenv("UNSPOOL_ALLOW", "none")
    assert program("run", "shell.yaml", "--allow", "shell").json == "hello"
    monkeypatch.setenv("UNSPOOL_ALLOW_SHELL", "true")
    assert program("run", "shell.yaml", "--allow", "none").code == 1


@pytest.mark.parametrize("command", [["run", "shell.yaml"], ["dev", "--port", "0"]])
def test_a_malformed_setting_of_what_may_run_is_2_and_is_named(program, monkeypatch, command):
    monkeypatch.setenv("UNSPOOL_ALLOW", "shel")
    refused = program(*command)
    assert (refused.code, refused.stdout) == (2, "")
    assert "UNSPOOL_ALLOW must list shell, script or container, not 'shel'" in refused.stderr


@pytest.mark.parametrize("base", ["gar/b age%", "errors/", "https://a.example/%zz"])
def test_a_base_of_errors_that_is_no_uri_is_2(program, monkeypatch, base):
    monkeypatch.setenv("UNSPOOL_ERROR_BASE", base)
    refused = program("run", "greet.yaml")
    assert (refused.code, refused.stdout) == (2, "")
    assert "UNSPOOL_ERROR_BASE must be a URI" in refused.stderr


@pytest.mark.parametrize("base", ["urn:example:errors:", "https://a.example/errors?type=%20"])
def test_a_base_of_errors_is_any_uri(program, monkeypatch, base):
    monkeypatch.setenv("UNSPOOL_ERROR_BASE", base)
    assert program("run", "shell.yaml", "--allow", "none").problem["type"] == f"{base}authorization"


def test_a_timeout_is_4_and_cancels_the_execution(program, unspool):
    result = program("run", "sleep.yaml", "--timeout", "0.5")
    assert (result.code, result.stdout) == (4, "")
    [execution] = unspool("executions", "list", "--json").lines
    assert execution["status"] == "cancelled"


def test_ctrl_c_is_3_and_cancels_the_execution(start_program, unspool):
    with start_program("run", "sleep.yaml") as process:
        wait_until(
            lambda: any(e["status"] == "waiting" for e in unspool("executions", "list", "--json").lines)
        )
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=120)
    assert (process.returncode, stdout) == (3, "")
    assert "cancelled" in stderr
    [execution] = unspool("executions", "list", "--json").lines
    assert execution["status"] == "cancelled"


def test_a_run_can_be_cancelled_by_another_command(start_program, unspool):
    with start_program("run", "sleep.yaml") as process:
        wait_until(
            lambda: any(e["status"] == "waiting" for e in unspool("executions", "list", "--json").lines)
        )
        [execution] = unspool("executions", "list", "--json").lines
        assert unspool("executions", "cancel", execution["id"], "--timeout", "60").code == 0
        process.communicate(timeout=120)
    assert process.returncode == 3


def test_a_changed_definition_can_run_again(program, home):
    assert program("run", "greet.yaml", "--input", '{"name": "Ada"}').code == 0
    changed = (home / "greet.yaml").read_text().replace("Hello", "Goodbye")
    (home / "greet.yaml").write_text(changed)
    assert program("run", "greet.yaml", "--input", '{"name": "Ada"}').json == {"greeting": "Goodbye Ada"}


def test_a_changed_definition_runs_on_a_named_store_and_does_not_become_the_latest(program, unspool, home):
    store = ("--store", "sqlite:///named.db")
    ada = ("--input", '{"name": "Ada"}')
    assert program("run", "greet.yaml", *ada, *store).json == {"greeting": "Hello Ada"}
    (home / "greet.yaml").write_text((home / "greet.yaml").read_text().replace("Hello", "Goodbye"))
    assert program("run", "greet.yaml", *ada, *store).json == {"greeting": "Goodbye Ada"}
    newest, oldest = unspool("executions", "list", "--json", *store).lines
    assert oldest["workflow"]["version"] == "1.0.0"
    assert newest["workflow"]["version"].startswith("1.0.0-0.run-")
    started = unspool("start", "shop/greet", "--json", *store).json
    assert started["workflow"]["version"] == "1.0.0"


def test_a_run_does_not_process_the_embedded_store(program, unspool):
    assert unspool("deploy", "greet.yaml").code == 0
    waiting = unspool("start", "shop/greet").stdout.strip()
    assert program("run", "greet.yaml", "--input", '{"name": "Ada"}').code == 0
    assert unspool("executions", "show", waiting, "--json").json["status"] == "pending"


def test_a_run_leaves_a_history_that_can_be_found_by_its_id(program, unspool):
    program("run", "greet.yaml", "--input", '{"name": "Ada"}')
    [execution] = unspool("executions", "list", "--json").lines
    assert execution["output"] == {"greeting": "Hello Ada"}
    history = unspool("history", execution["id"], "--json").lines
    assert [event["seq"] for event in history] == list(range(1, len(history) + 1))
    assert history[-1]["type"] == "workflow.completed"
    assert unspool("replay", execution["id"], "--verify").code == 0


def test_an_operation_on_a_run_says_how_to_run_a_worker_for_it(program, unspool, start_program):
    program("run", "refuse.yaml")
    [execution] = unspool("executions", "list", "--json").lines
    result = unspool("executions", "retry", execution["id"], "--timeout", "0.1")
    assert result.code == 4
    [command] = re.findall("`unspool (.*?)`", result.stderr)
    with start_program(*command.split(), "--port", "0") as process:
        deadline = time.monotonic() + 120
        while "workflow.retried" not in unspool("history", execution["id"]).stdout:
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)


def test_sub_definitions_are_deployed_first(program, unspool):
    store = ("--store", "sqlite:///named.db")
    assert program("run", "greet.yaml", "--sub", "sleep.yaml", "--input", '{"name": ""}', *store).code == 0
    assert unspool("start", "shop/sleep", *store).code == 0
    assert program("run", "greet.yaml", "--sub", "invalid.yaml").code == 2


def test_a_terminal_shows_every_task(home):
    shown = on_terminal("run", "refuse.yaml")
    assert "failed" in shown
    assert "\x1b[31m" in shown
    assert "\x1b[31m" not in on_terminal("run", "refuse.yaml", NO_COLOR="1")


def on_terminal(*arguments, **environment):
    """Returns what the program writes to standard error if that is a terminal."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", **environment}
    command = [sys.executable, "-m", "unspool.cli", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs, env=environment)
    os.close(theirs)
    shown = b""
    while select.select([ours], [], [], 120)[0]:
        try:
            shown += os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
    os.close(ours)
    process.wait(timeout=120)
    return shown.decode()


def wait_until(condition, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_run_uses_the_named_store(program, unspool, redis_database):
    store = ("--store", redis_database)
    assert program("run", "shell.yaml", *store).json == "hello"
    [execution] = unspool("executions", "list", "--json", *store).lines
    assert execution["status"] == "completed"
    assert unspool("replay", execution["id"], "--verify", *store).code == 0


def test_expressions_that_need_real_jq_are_run_and_verified(program, unspool, home):
    text = (home / "greet.yaml").read_text()
    assert '"Hello " + .name' in text
    (home / "greet.yaml").write_text(
        text.replace('"Hello " + .name', "[limit(2; repeat(.))] | try error catch length")
    )
    assert program("run", "greet.yaml", "--input", "1").json == {"greeting": 2}
    [execution] = unspool("executions", "list", "--json").lines
    assert unspool("replay", execution["id"], "--verify").code == 0
    (home / "greet.yaml").write_text(text.replace('"Hello " + .name', "nonsense(1)"))
    result = unspool("validate", "greet.yaml")
    assert result.code == 2
    assert result.stdout.startswith("greet.yaml:9:")


@pytest.mark.parametrize("arguments", [("run", "-"), ("run", "greet.yaml", "--input", "-"), ("deploy", "-")])
def test_ctrl_c_ends_the_wait_for_standard_input(start_program, arguments):
    with start_program(*arguments) as process:
        process.stdin.write("{")
        process.stdin.flush()
        wait_until(lambda: unread(process.stdin) == 0)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=120) == 130


def unread(pipe: TextIO) -> int:
    """Returns the number of unread bytes in a pipe."""
    return struct.unpack("i", fcntl.ioctl(pipe.fileno(), termios.FIONREAD, b"    "))[0]


def test_a_closed_terminal_cancels_the_execution(start_program, unspool):
    with start_program("run", "sleep.yaml") as process:
        wait_until(
            lambda: any(e["status"] == "waiting" for e in unspool("executions", "list", "--json").lines)
        )
        process.send_signal(signal.SIGHUP)
        process.communicate(timeout=120)
    [execution] = unspool("executions", "list", "--json").lines
    assert execution["status"] == "cancelled"


def test_an_unreadable_file_of_a_run_does_not_hide_others(program, unspool, home):
    assert program("run", "greet.yaml", "--input", '{"name": "Ada"}').code == 0
    (home / "data" / "unspool" / "runs" / "00000.db").write_bytes(b"no database" * 1000)
    listed = unspool("executions", "list", "--json")
    assert (listed.code, len(listed.lines)) == (0, 1)
    assert "00000.db" in listed.stderr
