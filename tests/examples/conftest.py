"""The running sample service, and the program that runs the examples against it."""

import asyncio
import importlib.util
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from tests.examples.server import Serve, Server, running_server

EXAMPLES = Path(__file__).parents[2] / "examples"


class Ran(NamedTuple):
    """The result of a run of a program."""

    code: int
    output: str
    errors: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self.errors
        return json.loads(self.output)


@pytest.fixture(scope="session")
def examples() -> Path:
    """The directory of the examples."""
    return EXAMPLES


def script(name: str) -> ModuleType:
    """Returns the module of an example; it is a script, not part of a package."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses need it there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def sample_service() -> ModuleType:
    """The module of the sample service."""
    return script("sample_service")


@pytest.fixture
async def shop(sample_service: ModuleType) -> AsyncIterator[Any]:
    """A running shop at `shop.address`. Its payments fail only if a test sets `outage`."""
    shop = sample_service.Shop(outage=0)
    async with sample_service.running_shop(shop) as address:
        shop.address = address
        yield shop


@pytest.fixture
def call(tmp_path: Path) -> Callable[..., Awaitable[Ran]]:
    """Runs a program of this environment in an empty data directory, while the test's event loop runs."""

    async def call(*words: str, program: str = "unspool", seconds: float = 200) -> Ran:
        path = Path(sys.executable).with_name(program)
        environment = {"PATH": str(path.parent), "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
        process = await asyncio.create_subprocess_exec(
            path, *words, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(seconds):
                output, errors = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise
        return Ran(process.returncode or 0, output.decode(), errors.decode())

    return call


@pytest.fixture
def run(shop: Any, call: Callable[..., Awaitable[Ran]]) -> Callable[..., Awaitable[Ran]]:
    """`unspool run` of an example against the shop."""

    async def run(example: str, **members: Any) -> Ran:
        text = json.dumps({"service": shop.address, **members})
        return await call("run", str(EXAMPLES / example), "--input", text)

    return run


@pytest.fixture
async def serve(tmp_path: Path, examples: Path) -> AsyncIterator[Serve]:
    """Starts `unspool dev` with examples deployed; it ends with the test."""
    async with AsyncExitStack() as open_servers:

        async def serve(*names: str, **settings: str) -> Server:
            files = [examples / name for name in names]
            return await open_servers.enter_async_context(running_server(tmp_path, files, **settings))

        yield serve


@pytest.fixture(scope="session")
def crm_service() -> ModuleType:
    """The module of the CRM."""
    return script("crm_service")


@pytest.fixture
async def crm(crm_service: ModuleType) -> AsyncIterator[Any]:
    """A running CRM at `crm.address`."""
    crm = crm_service.Crm()
    async with crm_service.running_crm(crm) as address:
        crm.address = address
        yield crm
