"""The examples of docs/reference/cli.md run as they are there, in a store that has what they name."""

import asyncio
import json
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, redirect_stdout
from pathlib import Path

import pytest
from tests.docs.dead_letter import make_dead_letter
from tests.docs.markdown import ROOT, blocks
from tests.ports import free_port

from unspool.cli.main import call
from unspool.cli.stores import opened
from unspool.eventstore.api_keys import Scope, Session
from unspool.eventstore.archives import write_events
from unspool.eventstore.published_events import PublishedEvent

ORDER = """\
document: { dsl: '1.0.3', namespace: shop, name: order, version: '1.0.0' }
do:
  - check: { if: '${ .id == 9 }', raise: { error: { type: 'https://example.com/refused', status: 409 } } }
  - pay: { set: { paid: true } }
  - pack: { if: '${ $workflow.input.id == 8 }', wait: { hours: 1 } }
"""
REPORT = """\
document: { dsl: '1.0.3', namespace: shop, name: report, version: '1.0.0' }
schedule: { cron: '0 6 * * *' }
do: [ { write: { set: { written: true } } } ]
"""
PAID = {"specversion": "1.0", "id": "1", "source": "/bank", "type": "payment.received"}
ARCHIVED = "archive/default/events/2026-11-29/1.jsonl.gz"
FILES = {
    "order.yaml": ORDER,
    "order-2.yaml": ORDER.replace("'1.0.0'", "'2.0.0'"),
    "payment.yaml": ORDER.replace("name: order", "name: payment"),
    "report.yaml": REPORT,
    "order.json": '{"id": 7}',
    "paid.json": json.dumps(PAID),
}

EXAMPLES = [
    line.removeprefix("$ ")
    for block in blocks(ROOT / "docs/reference/cli.md")
    if block.language == "console"
    for line in block.text.splitlines()
]
SERVERS = re.compile(r"unspool (dev|api|mcp|worker|executor|timer)\b")

STORE, API, LETTER, KEY = (
    "redis://localhost:6379/0",
    "https://unspool.example.com",
    "7-1763700000000-0",
    "3f9c0a7be1d24c58",
)
EXECUTION = "01JD8X4W0M2V5Z7Y3T6K9Q1B0C"
STARTS = {
    "cancel": (8, "waiting"),
    "suspend": (8, "waiting"),
    "resume": (8, "waiting"),
    "retry": (9, "faulted"),
}
"""By operation, the input and the status of an execution that allows it."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the files that the examples name."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    write_events(tmp_path / ARCHIVED, "default", [PublishedEvent("1", PAID, 0)])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("UNSPOOL_AUTH", "off")
    monkeypatch.setenv("UNSPOOL_STORE", f"sqlite:///{tmp_path}/store")
    return tmp_path


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    """The address of a server with the deployed workflows, which works on the store."""
    port = free_port()
    with _server(f"dev order.yaml payment.yaml report.yaml --port {port}", folder) as process:
        try:
            _until(lambda: _listens(port))
            yield f"http://127.0.0.1:{port}"
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) == 0
        finally:
            process.kill()


def _server(arguments: str, folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "server.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "unspool.cli", *shlex.split(arguments)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder,
        )  # fmt: skip


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


class Shell:
    """Runs commands in this process, which is faster than a process for each."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._monkeypatch = monkeypatch

    def run(self, line: str) -> str:
        """Runs a command line with what its examples use of a shell; returns what it printed."""
        line = re.sub(r"^\(umask \d+; (.*)\)$", r"\1", line)
        line, _, target = re.sub(r" >>? ", "\0", line).partition("\0")
        with ExitStack() as stack:
            self._monkeypatch.setattr(sys, "stdin", stack.enter_context(Path("paid.json").open()))
            output = self._folder / (target or "output.txt")
            with output.open("w") as file, redirect_stdout(file):
                *assigned, command = re.split(r"(?<=^UNSPOOL_EGRESS=public) ", line.rpartition(" | ")[2])
                for each in assigned:
                    self._monkeypatch.setenv(*each.split("=", 1))
                code = call([word for each in shlex.split(command)[1:] for word in _expanded(each)])
            assert code == 0, f"exit code {code} of {line}"
            return output.read_text()

    def status(self, execution: str) -> str:
        return str(json.loads(self.run(f"unspool executions show {execution} --json"))["status"])


def _expanded(word: str) -> list[str]:
    return [str(path) for path in sorted(Path().glob(word))] if "*.jsonl" in word else [word]


@pytest.fixture
def shell(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    return Shell(folder, monkeypatch)


@pytest.mark.timeout(600)
def test_every_example_runs(
    shell: Shell, folder: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{folder}/store"
    for number, example in enumerate(line for line in EXAMPLES if not SERVERS.search(line)):
        actual = example.replace(STORE, url).replace(API, address)
        if EXECUTION in example:
            actual = actual.replace(EXECUTION, _execution(shell, actual, f"one-{number}"))
        if KEY in example:
            [key] = shell.run("unspool keys list --json").splitlines()[:1]
            actual = actual.replace(KEY, json.loads(key)["id"])
        if LETTER in example:
            # A store of its own: the worker of the other one would take the message.
            monkeypatch.setenv("UNSPOOL_STORE", f"sqlite:///{folder}/store-{number}")
            shell.run("unspool deploy order.yaml")
            shell.run("unspool start shop/order")
            letter = asyncio.run(make_dead_letter(f"sqlite:///{folder}/store-{number}"))
            actual = actual.replace(LETTER, letter)
        if "sessions end" in example:
            asyncio.run(_log_in(url))
        shell.run(actual)
        monkeypatch.setenv("UNSPOOL_STORE", url)


async def _log_in(url: str) -> None:
    """Stores the session that the examples end."""
    async with opened(url, {}) as store:
        ends = await store.now() + 3_600_000
        await store.put_session(Session("a" * 16, "b" * 64, "jwt:ada", "default", (Scope.READ,), ends))


def _execution(shell: Shell, example: str, id_: str) -> str:
    """Starts an execution that allows the operation of an example; returns its id."""
    operation = next((name for name in STARTS if f"executions {name} " in example), "show")
    input_, status = STARTS.get(operation, (7, "completed"))
    shell.run(f"unspool start shop/order:1.0.0 --id {id_} --input '{{\"id\": {input_}}}'")
    _until(lambda: shell.status(id_) == status)
    if operation == "resume":
        shell.run(f"unspool executions suspend {id_}")
    return id_


@pytest.mark.timeout(300)
def test_every_server_starts_and_stops(shell: Shell, folder: Path, address: str) -> None:
    url = f"sqlite:///{folder}/store"
    servers: dict[str, subprocess.Popen[bytes]] = {}
    ports: list[int] = []
    with ExitStack() as stack:
        for example in (line for line in EXAMPLES if SERVERS.search(line)):
            port = free_port()
            actual = example.replace(STORE, url).replace(API, address)
            ports += [port] if "--port" in actual else []
            arguments = re.sub(r"--port \d+", f"--port {port}", actual).removeprefix("unspool ")
            servers[arguments] = stack.enter_context(_server(arguments, folder))
            stack.callback(servers[arguments].kill)  # after a failure
        # A signal may come when a server listens, or is in the list of services.
        listed = {server.pid for arguments, server in servers.items() if not arguments.startswith("mcp")}
        _until(lambda: all(map(_listens, ports)) and listed <= _processes_of_services(shell))
        for arguments, server in servers.items():
            if arguments != "mcp --allow-start":  # it ends by itself, because its standard input is empty
                server.send_signal(signal.SIGINT)
        codes = {arguments: server.wait(timeout=60) for arguments, server in servers.items()}
        assert codes == dict.fromkeys(servers, 0)


def _processes_of_services(shell: Shell) -> set[int]:
    return {each["pid"] for each in json.loads(shell.run("unspool services --json"))["items"]}
