"""Services as processes, with a port for monitoring."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from tests.ports import free_port

UNSPOOL = Path(sys.executable).with_name("unspool")


@dataclass
class Monitored:
    """A service that runs as a process."""

    process: asyncio.subprocess.Process
    port: int
    log: Path

    async def get(self, path: str) -> tuple[int, str]:
        """Sends a request to its port for monitoring, again until it listens; returns status and text."""
        async with aiohttp.ClientSession() as session, asyncio.timeout(60):
            while True:
                try:
                    async with session.get(f"http://127.0.0.1:{self.port}{path}") as response:
                        return response.status, await response.text()
                except aiohttp.ClientConnectionError:
                    assert self.process.returncode is None, self.log.read_text()
                    await asyncio.sleep(0.05)


Monitor = Callable[..., AbstractAsyncContextManager[Monitored]]


@pytest.fixture
def monitored(tmp_path: Path) -> Monitor:
    """Runs a service with a port for monitoring."""

    @asynccontextmanager
    async def run(name: str, store: str, *options: str, **settings: str) -> AsyncIterator[Monitored]:
        port = free_port()
        plain = {key: value for key, value in os.environ.items() if not key.startswith("UNSPOOL_")}
        command = [str(UNSPOOL), name, "--store", store, "--metrics-port", str(port), *options]
        log = tmp_path / f"{name}-{port}.log"
        with log.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                *command, env=plain | settings, stdout=subprocess.DEVNULL, stderr=errors
            )
        try:
            yield Monitored(process, port, log)
        finally:
            if process.returncode is None:
                process.terminate()
            async with asyncio.timeout(60):
                await process.wait()
        assert not re.search(r'"level":"(error|critical)"', log.read_text()), log.read_text()

    return run
