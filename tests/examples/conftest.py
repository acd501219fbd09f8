"""The running sample service, and the program that runs the examples against it."""

import asyncio
import importlib.util
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest

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


@pytest.fixture(scope="session")
def sample_service() -> ModuleType:
    """The module of the sample service; it is a script, not part of a package."""
    spec = importlib.util.spec_from_file_location("sample_service", EXAMPLES / "sample_service.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses need it there
    spec.loader.exec_module(module)
    return module


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

    async def call(*words: str, program: str = "unspool", seconds: float = 30) -> Ran:
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
