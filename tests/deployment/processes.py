"""Runs the commands of deployment files as processes, with the environments of these files."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import click

from unspool.cli.main import program

ROOT = Path(__file__).parents[2]
UNSPOOL = Path(sys.executable).with_name("unspool")


def parse(arguments: Sequence[str]) -> None:
    """Parses the arguments of `unspool`. Raises `click.ClickException` if they are wrong."""
    name, *rest = arguments
    command = program.get_command(click.Context(program), name)
    assert command is not None, f"there is no command {name}"
    command.make_context(name, list(rest))


def check_settings(settings: Mapping[str, str]) -> None:
    """Checks that each variable is a setting, and that its value is allowed."""
    environment = {"PATH": os.environ["PATH"], **settings}
    listed = subprocess.run(
        [UNSPOOL, "config"], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert (listed.returncode, listed.stderr) == (0, "")


@dataclass
class Running:
    """A command that runs as a process."""

    process: asyncio.subprocess.Process
    log: Path

    async def stop(self, seconds: float) -> None:
        """Sends SIGTERM. It has to end with 0, within some seconds."""
        assert self.process.returncode is None, f"it has ended: {self.log.read_text()}"
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(seconds):
            assert await self.process.wait() == 0, self.log.read_text()


async def start(arguments: Sequence[str], settings: Mapping[str, str], log: Path) -> Running:
    """Starts `unspool` with these arguments, and nothing in its environment but the settings."""
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            UNSPOOL,
            *arguments,
            env={"PATH": os.environ["PATH"], **settings},
            cwd="/",
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
    return Running(process, log)


@contextlib.asynccontextmanager
async def running(
    arguments: Sequence[str], settings: Mapping[str, str], log: Path, stop_seconds: float
) -> AsyncIterator[Running]:
    """Runs a command, and stops it at the end as a supervisor does."""
    started = await start(arguments, settings, log)
    try:
        yield started
        await started.stop(stop_seconds)
    finally:
        await kill(started)


async def kill(started: Running) -> None:
    """Ends a process if it still runs."""
    if started.process.returncode is None:
        started.process.kill()
        await started.process.wait()


async def answers(url: str, started: Running) -> str:
    """Waits until an address answers 200; returns the text. Fails if the process ends."""
    deadline, last = time.monotonic() + 240, "nothing"  # many processes start, perhaps on a busy machine
    async with aiohttp.ClientSession() as session:
        while True:
            assert started.process.returncode is None, started.log.read_text()
            assert time.monotonic() < deadline, f"{url} answers {last}\n{started.log.read_text()}"
            with contextlib.suppress(aiohttp.ClientConnectionError):
                async with session.get(url) as response:
                    last = await response.text()
                    if response.status == 200:
                        return last
            await asyncio.sleep(0.1)
