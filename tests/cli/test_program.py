"""The program as a whole: imports, help, and exit codes that are common to all commands."""

import json
import os
import select
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from unspool.cli.main import COMMANDS

HEAVY = {"aiohttp", "redis", "hiredis", "starlette", "uvicorn", "grpc", "google"}

REPORT = """
import sys
from unspool.cli.main import call
code = call(sys.argv[1:])
sys.stderr.write("\\n" + " ".join(name for name in sys.modules if "." not in name))
sys.exit(code)
"""


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["validate", "greet.yaml"]])
def test_client_libraries_are_imported_only_when_needed(arguments, home):
    command = [sys.executable, "-c", REPORT, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, cwd=home, check=False)
    assert done.returncode == 0
    assert HEAVY.isdisjoint(done.stderr.splitlines()[-1].split())


def test_the_program_is_installed_under_its_name():
    installed = Path(sys.executable).with_name("unspool")
    done = subprocess.run([installed, "--version"], capture_output=True, text=True, timeout=200, check=False)
    assert (done.returncode, done.stdout) == (0, f"unspool {version('unspool')}\n")


SUBCOMMANDS = [
    (),
    *((name,) for name in COMMANDS),
    *(("executions", name) for name in ("list", "show", "cancel", "suspend", "resume", "retry")),
    *(("workflows", name) for name in ("list", "show")),
    *(("dlq", name) for name in ("list", "show", "requeue", "discard")),
]


@pytest.mark.parametrize("command", SUBCOMMANDS, ids=" ".join)
def test_every_command_has_help_with_an_example(command, unspool):
    result = unspool(*command, "--help")
    assert result.code == 0
    assert "Usage: unspool" in result.stdout
    assert "Example:\n" in result.stdout
    example = result.stdout.partition("Example:\n")[2]
    assert " ".join(("unspool", *command)) in example


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["run"],
        ["run", "greet.yaml", "--nonsense"],
        ["run", "missing.yaml"],
        ["run", "greet.yaml", "--input", "{"],
        ["run", "greet.yaml", "--input", "@missing.json"],
        ["run", "greet.yaml", "--input", "18446744073709551616"],
        ["start", "greet"],
        ["run", "greet.yaml", "--timeout", "nan"],
        ["start", "shop/greet", "--wait", "--timeout", "NaN"],
        ["executions", "cancel", "x", "--timeout", "nan"],
        ["mcp", "--wait", "nan"],
        ["start", "shop/greet", "--id", "not an id"],
        ["executions", "show", "../secrets"],
        ["executions", "show", ".."],
        ["executions", "list", "--workflow", "greet"],
        ["start", "shop/gr\udcffet"],
        ["dlq", "list", "--execution", "\udcff"],
        ["replay", "--all", "--verify", "--workflow", "shop/nothing"],
        ["executions", "list", "--since", "yesterday"],
        ["executions", "list", "--status", "lost"],
        ["replay"],
        ["replay", "--all"],
        ["validate", "--tenant", "x"],
        ["dlq", "list", "--tenant", "no tenant"],
        *([*command, "a" * 300] for command in (["history"], ["replay"], ["dlq", "show"], ["graph"])),
    ],
    ids=lambda words: " ".join(words).encode("ascii", "replace").decode(),
)
def test_bad_usage_is_2_and_says_why(arguments, unspool):
    result = unspool(*arguments)
    assert result.code == 2
    assert result.stdout == ""
    assert result.stderr.strip()


def test_an_invalid_setting_is_2_and_is_named(unspool, monkeypatch):
    monkeypatch.setenv("UNSPOOL_WORKER_BATCH", "many")
    result = unspool("config")
    assert result.code == 2
    assert "UNSPOOL_WORKER_BATCH" in result.stderr


@pytest.mark.parametrize(
    ("variable", "value", "bounds"),
    [
        ("UNSPOOL_WORKER_CONCURRENCY", "0", "at least 1"),
        ("UNSPOOL_WORKER_GRACE_SECONDS", "nan", "at least 0"),
        ("UNSPOOL_WORKER_GRACE_SECONDS", "inf", "at least 0"),
        ("UNSPOOL_API_PORT", "99999", "at most 65535"),
        ("UNSPOOL_SHARDS", "-1", "at least 0"),
        ("UNSPOOL_SHARDS", "99999999", "at most"),
    ],
)
def test_a_setting_out_of_bounds_is_2_and_says_which(unspool, monkeypatch, variable, value, bounds):
    monkeypatch.setenv(variable, value)
    result = unspool("config")
    assert result.code == 2
    assert variable in result.stderr
    assert bounds in result.stderr


def test_messages_do_not_control_the_terminal(unspool):
    assert "\x1b" not in unspool("validate", "\x1b]0;title\x07").stderr
    assert "\x1b" not in unspool("replay", "\x1b]0;title.jsonl").stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_do_no_harm(home, closed):
    command = f"{sys.executable} -m unspool.cli run greet.yaml --input '{{\"name\": 1}}' {closed}; echo $?"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=200, check=False)
    assert done.stdout.splitlines()[-1] == "1"  # a number cannot be added to a text


SLOW = """
import time
from pathlib import Path
from unspool.functions import function

@function("slow")
def slow() -> None:
    print("begun")
    while not Path("go").exists():
        time.sleep(0.01)
"""


@pytest.mark.parametrize("unbuffered", [{}, {"PYTHONUNBUFFERED": "1"}])
def test_a_terminal_shows_at_once_what_a_function_prints(tmp_path, unbuffered):
    (tmp_path / "slow.py").write_text(SLOW)
    document = "document: {dsl: '1.0.3', namespace: test, name: slow, version: '1.0.0'}"
    (tmp_path / "slow.yaml").write_text(f"{document}\ndo: [{{s: {{call: slow}}}}]\n")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    shown, terminal = os.openpty()
    command = [sys.executable, "-m", "unspool.cli", "run", "slow.yaml", "--functions", "slow.py"]
    with subprocess.Popen(command, stdout=terminal, cwd=tmp_path, env=environment | unbuffered) as running:
        try:
            assert select.select([shown], [], [], 60)[0]
            assert os.read(shown, 100).startswith(b"begun")
        finally:
            (tmp_path / "go").touch()
            assert running.wait(60) == 0
            os.close(terminal)
            os.close(shown)


@pytest.mark.parametrize(
    ("output", "cause", "unbuffered"),
    [
        ("> /dev/full", "No space left on device", {}),
        ("> /dev/full", "No space left on device", {"PYTHONUNBUFFERED": "1"}),
        (">&-", "it is closed", {}),
    ],
)
@pytest.mark.parametrize(
    "arguments",
    [
        *("config", "config --json", "--help", "--version", "run --help", "validate invalid.yaml"),
        *("deploy greet.yaml", "executions list", "dlq list", "schema"),
        """run greet.yaml --input '{"name": "Ada"}'""",
        "dev --port 0",
    ],
)
def test_output_that_cannot_be_written_is_an_error_and_not_a_bug(home, arguments, output, cause, unbuffered):
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m unspool.cli {arguments} {output}"],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        env=environment | unbuffered,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 2, done.stderr
    assert f"standard output cannot be written: {cause}" in done.stderr
    assert "bug" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:1/prod", "redis://127.0.0.1:1/0/1", "postgres://h", "sqlite:/x"]
)
def test_an_invalid_store_url_is_5(unspool, url):
    assert unspool("executions", "list", "--store", url).code == 5


def test_a_path_instead_of_a_store_url_is_5_and_says_what_to_write(unspool):
    result = unspool("executions", "list", "--store", "/tmp/x.db")
    assert result.code == 5
    assert "'/tmp/x.db' is not the URL of a store; supported are sqlite:///PATH" in result.stderr


@pytest.mark.parametrize(
    ("variable", "value", "code", "says"),
    [
        ("UNSPOOL_TENANT", "a b", 2, "a tenant must match"),
        ("UNSPOOL_API", "gar/bage", 2, "the address of the API must begin with http:// or https://"),
        ("UNSPOOL_STORE", "foo", 5, "'foo' is not the URL of a store"),
    ],
)
def test_an_invalid_setting_of_a_command_is_named(program, variable, value, code, says):
    result = program("executions", "list", **{variable: value})
    assert result.code == code
    assert result.stderr.startswith(f"unspool: {variable}: {says}")


def test_an_invalid_data_directory_is_5(program):
    result = program("run", "greet.yaml", XDG_DATA_HOME="/dev/null/x")
    assert result.code == 5
    assert "/dev/null" in result.stderr


@pytest.mark.parametrize("service", ["dev --port 0", "worker", "executor", "timer", "api --port 0"])
def test_a_service_ends_if_its_file_cannot_be_written(unspool, tmp_path, service):
    ended = without_privileges(unspool, tmp_path, service)
    assert ended.returncode == 5, ended.stderr
    assert f"{tmp_path / 'x.db'} cannot be written" in ended.stderr


def test_a_service_ends_if_the_log_of_its_file_cannot_be_written(unspool, tmp_path):
    """As after its owner was changed, but not that of the files beside it."""
    ended = without_privileges(unspool, tmp_path, "worker", "x.db-wal")
    assert ended.returncode == 5, ended.stderr
    assert f"{tmp_path / 'x.db-wal'} cannot be written" in ended.stderr


def test_the_doctor_tells_that_the_file_cannot_be_written(unspool, tmp_path):
    ended = without_privileges(unspool, tmp_path, "doctor --json")
    told = json.loads(ended.stdout)
    assert (ended.returncode, told["fine"]) == (1, False)
    assert "access" in {finding["check"] for finding in told["findings"]}


def without_privileges(unspool, tmp_path, command, read_only="x.db"):
    """Calls a command on a used file; a file cannot be written, also by root."""
    file = tmp_path / "x.db"
    assert unspool("executions", "list", "--store", f"sqlite:///{file}").code == 0
    read_only_file = tmp_path / read_only
    read_only_file.touch()
    read_only_file.chmod(0o444)
    as_user = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.getuid() == 0 else []
    return subprocess.run(
        [*as_user, sys.executable, "-m", "unspool.cli", *command.split(), "--store", f"sqlite:///{file}"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_an_unavailable_store_is_5(unspool):
    result = unspool("executions", "list", "--store", "redis://:hunter2@127.0.0.1:1/0")
    assert result.code == 5
    assert "hunter2" not in result.stderr


def test_a_bug_is_70_and_shows_its_traceback_only_on_demand(unspool, monkeypatch):
    monkeypatch.setitem(COMMANDS, "config", COMMANDS["config"]._replace(location="main:missing"))
    assert unspool("config").code == 70
    assert "Traceback" not in unspool("config").stderr
    assert "report" in unspool("config").stderr
    monkeypatch.setenv("UNSPOOL_DEBUG", "1")
    assert "Traceback" in unspool("config").stderr


def test_a_closed_pipe_is_not_a_bug(home):
    command = f"{sys.executable} -m unspool.cli config --json | head -c 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=200, check=False)
    assert (done.stdout, done.stderr) == ("{", "")
