"""Runs the programs of docs/client.md as they are written, against `unspool dev`."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import unspool.client
from unspool.client import AsyncClient, Client

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/client.md").read_text()
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
URL = "http://127.0.0.1:8080"


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    """The address of `unspool dev examples/hello.yaml`."""
    command = [Path(sys.executable).with_name("unspool"), "dev", ROOT / "examples/hello.yaml", "--port", "0"]
    environment = {**os.environ, "XDG_DATA_HOME": str(tmp_path)}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, env=environment)
    try:
        async with asyncio.timeout(200):
            yield await _printed_address(process)
    finally:
        process.terminate()
        await process.communicate()


async def _printed_address(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    assert process.stdout is not None
    for stream in (process.stdout, process.stderr):
        while line := (await stream.readline()).decode():
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                return found.group()
    raise AssertionError("the program ended")


async def run(program: str, address: str) -> str:
    """Runs a program with the address of the API; returns what it prints."""
    assert URL in program
    code = program.replace(URL, address)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-c", code, stdout=pipe, stderr=pipe
    )
    output, errors = await process.communicate()
    assert (process.returncode, errors.decode()) == (0, "")
    return output.decode()


async def test_the_programs_run_as_written(address: str) -> None:
    first, second = PROGRAMS
    [printed] = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    assert await run(first, address) == printed
    lines = (await run(second, address)).splitlines()
    assert lines[:3] == [f"completed {{'greeting': 'Hello, {name}!'}}" for name in ("Ada", "Grace", "Mary")]
    assert sorted(lines[3:]) == [f"{{'name': '{name}'}}" for name in ("Ada", "Grace", "Mary")]


def test_every_method_and_error_is_on_the_page() -> None:
    named = set(re.findall(r"`(\w+)`", PAGE))
    methods = {name for name in dir(AsyncClient) if not name.startswith("_")} - {"close"}
    errors = {
        name
        for name, value in vars(unspool.client).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert methods | errors - {"NoResult", "ClientError"} <= named
    assert methods <= set(dir(Client))
