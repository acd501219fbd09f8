"""A Restate server, a Python handler beside it, and a client for both.

The server runs as one node with `--production`, without telemetry and web UI. Its log is synced to disk
before a step counts as done; many appends share one sync. The handler is served by Granian over HTTP/2 (an
invocation keeps its stream from step to step), which was faster than Hypercorn.
"""

import asyncio
import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from benchmarks import processes
from benchmarks.peers import installed

PROGRAMS = Path(__file__).parent / "programs"
STARTED_TOGETHER = 200


class Configuration(NamedTuple):
    """How Restate is configured."""

    settings: dict[str, str]
    """Environment of the server."""
    handlers: int
    """Number of handler processes."""


class RestateError(Exception):
    """Restate answered with an error; the message is the body."""


class Restate:
    """A client of a running Restate: calls handlers and queries invocations."""

    def __init__(self, http: aiohttp.ClientSession, ingress: int, admin: int, pids: dict[str, int]) -> None:
        self._http = http
        self._ingress = f"http://127.0.0.1:{ingress}"
        self._admin = f"http://127.0.0.1:{admin}"
        self.pids = pids

    async def register(self, handler: int, seconds: float = 30) -> None:
        """Registers the handler, as soon as the server is ready."""
        deadline = time.monotonic() + seconds
        deployment = {"uri": f"http://127.0.0.1:{handler}"}
        while True:
            try:
                await self._post(f"{self._admin}/deployments", deployment)
                break
            except RestateError:  # the cluster is still forming
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(0.1)

    async def call(self, handler: str, size: int) -> Any:
        """Starts an invocation and waits for its result."""
        return await self._post(f"{self._ingress}/Bench/{handler}", size)

    async def send_many(self, handler: str, count: int, size: int) -> list[str]:
        """Starts invocations without waiting for results; returns their identifiers."""
        send = f"{self._ingress}/Bench/{handler}/send"
        sent: list[dict[str, str]] = []
        for _ in range(0, count, STARTED_TOGETHER):
            wanted = min(STARTED_TOGETHER, count - len(sent))
            sent += await asyncio.gather(*(self._post(send, size) for _ in range(wanted)))
        return [each["invocationId"] for each in sent]

    async def output(self, invocation: str) -> Any:
        """Returns the result of an invocation that has ended."""
        async with self._http.get(f"{self._ingress}/restate/invocation/{invocation}/output") as response:
            response.raise_for_status()
            return await response.json()

    async def query(self, sql: str) -> list[dict[str, Any]]:
        answer = await self._post(f"{self._admin}/query", {"query": sql})
        rows: list[dict[str, Any]] = answer["rows"]
        return rows

    async def _post(self, url: str, body: Any) -> Any:
        async with self._http.post(url, json=body, headers={"accept": "application/json"}) as response:
            if not response.ok:
                raise RestateError(await response.text())
            return await response.json()


@contextlib.asynccontextmanager
async def running(server: str, configuration: Configuration) -> AsyncIterator[Restate]:
    """Runs a server with an empty store and a registered handler; both stop with the block."""
    ingress, admin, fabric, handler = (processes.free_port() for _ in range(4))
    environment = {
        "RESTATE_BIND_IP": "127.0.0.1",
        "RESTATE_LISTEN_MODE": "tcp",
        "RESTATE_BIND_PORT": str(fabric),
        "RESTATE_INGRESS__BIND_PORT": str(ingress),
        "RESTATE_ADMIN__BIND_PORT": str(admin),
        "RESTATE_ADMIN__DISABLE_WEB_UI": "true",
        "RESTATE_DISABLE_TELEMETRY": "true",
        "RESTATE_LOG_FILTER": "off",
    }
    serve = ["granian", "--interface", "asgi", "--http", "2", "--host", "127.0.0.1", "--port", str(handler)]
    # Without the timeout Granian waits for the server to close its connections.
    serve += ["--workers", str(configuration.handlers), "--workers-kill-timeout", "1"]
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        environment["TMPDIR"] = folder  # the server does not remove the folders that it creates there
        options = ["--no-logo", "--production", "--auto-provision", "true", "--cluster-name", "bench"]
        store = ["--base-dir", folder]
        started = {
            "server": stack.enter_context(
                _process([server, *options, *store], environment | configuration.settings)
            ),
            "handler": stack.enter_context(_process([installed.PYTHON, "-m", *serve, "restate_app:app"], {})),
        }
        for name, port in (("server", ingress), ("server", admin), ("handler", handler)):
            processes.wait_for_port(port, started[name])
        pids = {name: process.pid for name, process in started.items()}
        async with aiohttp.ClientSession() as http:
            restate = Restate(http, ingress, admin, pids)
            await restate.register(handler)
            yield restate


@contextlib.contextmanager
def _process(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    silent = subprocess.DEVNULL
    process = subprocess.Popen(
        command, cwd=PROGRAMS, env=os.environ | environment, stdout=silent, stderr=silent
    )
    try:
        yield process
    finally:
        processes.stop(process)
