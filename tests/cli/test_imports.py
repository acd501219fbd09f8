"""Commands load only the packages that they need: it is most of the time that a short command takes."""

import json
import subprocess
import sys
from pathlib import Path

ID = "01JD8X4W0M2V5Z7Y3T6K9Q1B0C"

ON_A_STORE = (
    ("executions", "list"),
    ("executions", "counts"),
    ("executions", "show", ID),
    ("executions", "cancel", ID),
    ("history", ID),
    ("workflows", "list"),
    ("schedules", "list"),
    ("dlq", "list"),
    ("services",),
    ("functions", "list"),
    ("keys", "list"),
    ("config",),
)
ON_AN_API = (("executions", "list"), ("workflows", "list"), ("start", "examples/hello"), ("dlq", "list"))

PROGRAM = """
import contextlib, io, json, sys
from unspool.cli.main import call
with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
    codes = [call(command) for command in json.loads(sys.argv[1])]
print(json.dumps({"codes": codes, "modules": sorted(sys.modules)}))
"""

INTERPRETER = {"unspool.worker.interpreter", "unspool.definitions.expressions", "jsonschema_rs"}
SERVERS = {"starlette", "uvicorn", "prometheus_client", "unspool.executor.handlers"}
CLIENT = {"aiohttp", "unspool.client"}
REDIS = {"redis", "unspool.eventstore.redis.store"}


def test_commands_on_a_store_load_no_interpreter_no_server_and_no_client(tmp_path):
    codes, modules = loaded(ON_A_STORE, tmp_path, UNSPOOL_STORE=f"sqlite:///{tmp_path}/store.db")
    assert codes == [2 if ID in command else 0 for command in ON_A_STORE]
    assert not modules & (INTERPRETER | SERVERS | CLIENT | REDIS)
    assert "unspool.eventstore.sqlite.store" in modules


def test_commands_on_an_api_load_no_store_no_interpreter_and_no_server(tmp_path, unused_tcp_port):
    codes, modules = loaded(ON_AN_API, tmp_path, UNSPOOL_API=f"http://127.0.0.1:{unused_tcp_port}")
    assert codes == [5] * len(ON_AN_API)
    assert not modules & (INTERPRETER | SERVERS | REDIS | {"unspool.eventstore.sqlite.store"})
    assert "unspool.client" in modules


def test_a_run_that_calls_nothing_loads_no_client(tmp_path):
    hello = Path(__file__).parents[2] / "examples/hello.yaml"
    codes, modules = loaded((("run", str(hello)),), tmp_path)
    assert codes == [0]
    assert not modules & (SERVERS | REDIS | CLIENT) - {"unspool.executor.handlers"}


def loaded(
    commands: tuple[tuple[str, ...], ...], home: Path, **environment: str
) -> tuple[list[int], set[str]]:
    """Runs commands in a new process; returns their exit codes and the modules that are loaded then."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(commands)],
        env={"HOME": str(home), **environment},
        capture_output=True,
        check=True,
        timeout=120,
    )
    answer = json.loads(done.stdout)
    return answer["codes"], set(answer["modules"])
