"""Commands on an API instead of a store."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.api.conftest import run_api
from tests.api.keys import ON, key_for
from tests.background import served
from tests.client.conftest import GREET, NAP, REFUSE

from unspool.api.engine import Engine
from unspool.api.settings import ApiSettings
from unspool.client import AsyncClient
from unspool.definitions.expressions import JqPool
from unspool.eventstore.opening import open_store
from unspool.worker.service import WorkerService
from unspool.worker.settings import WorkerSettings

UNSPOOL = Path(sys.executable).with_name("unspool")


class Ran(NamedTuple):
    code: int | None
    output: str
    errors: str


Program = Callable[..., Awaitable[Ran]]


@pytest.fixture
async def program(tmp_path: Path, jq: JqPool) -> AsyncIterator[Program]:
    """Runs the program on an API with authentication, which no store option reaches."""
    store = await open_store(f"sqlite:///{tmp_path}/store.db", {})
    token = await key_for(store, "read", "start", "operate", "admin")
    async with (
        served(WorkerService(store, jq, WorkerSettings(), "w")),
        run_api(store, Engine(jq), ApiSettings(port=0, stop_seconds=5), authentication=ON) as api,
    ):
        async with AsyncClient(api.url, token=token) as client:
            for definition in (GREET, REFUSE, NAP):
                await client.deploy(definition)

        async def run(*arguments: str, key: str = token, url: str = api.url) -> Ran:
            environment = {**os.environ, "XDG_DATA_HOME": str(tmp_path / "none"), "UNSPOOL_TOKEN": key}
            pipe = asyncio.subprocess.PIPE
            process = await asyncio.create_subprocess_exec(
                UNSPOOL, *arguments, "--api", url, stdout=pipe, stderr=pipe, env=environment
            )
            output, errors = await process.communicate()
            return Ran(process.returncode, output.decode(), errors.decode())

        yield run
    await store.close()
    assert not (tmp_path / "none").exists(), "a command opened a store"


async def test_a_key_is_needed_and_not_shown(program: Program) -> None:
    refused = await program("executions", "list", key="usk_wrong")
    assert refused.code == 2
    assert "401" in refused.errors
    assert "usk_wrong" not in refused.errors


async def test_an_address_without_an_api(program: Program) -> None:
    assert (await program("executions", "list", url="localhost:1")).code == 2
    assert (await program("executions", "list", url="http://127.0.0.1:1")).code == 5
