"""Commands on an API instead of a store."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

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


async def test_an_execution_is_started_and_looked_at(program: Program) -> None:
    start = ("start", "shop/greet", "--input", '{"name": "Ada"}', "--id", "it", "--tag", "team=a")
    assert await program(*start) == (0, "it\n", "")
    assert await program(*start, "--wait") == (0, '{"greeting":"Hello Ada"}\n', "")
    shown: Any = json.loads((await program("executions", "show", "it", "--json")).output)
    assert (shown["status"], shown["output"]) == ("completed", {"greeting": "Hello Ada"})
    assert "workflow   shop/greet:1.0.0\n" in (await program("executions", "show", "it")).output
    events = [json.loads(line) for line in (await program("history", "it", "--json")).output.splitlines()]
    assert (events[0]["type"], events[-1]["type"]) == ("workflow.started", "workflow.completed")
    listed = await program("executions", "list", "--tag", "team:a", "--since", "1h", "--id", "i*")
    assert [line.split()[:3] for line in listed.output.splitlines()[1:]] == [
        ["it", "completed", "shop/greet:1.0.0"]
    ]
    assert await program("executions", "list", "--status", "faulted", "--json") == (0, "", "")


async def test_the_exit_codes_are_those_of_a_store(program: Program) -> None:
    faulted = await program("start", "shop/refuse", "--wait")
    assert (faulted.code, json.loads(faulted.errors)["status"]) == (1, 409)
    late = await program("start", "shop/nap", "--id", "nap", "--wait", "--timeout", "0.2")
    assert late == (4, "", "unspool: execution nap continues\n")
    assert "waits until" in (await program("executions", "show", "nap")).output
    assert (await program("executions", "show", "no")).code == 2
    assert (await program("start", "greet")).code == 2
    assert (await program("history", "nap", "--tree")).code == 2


async def test_a_key_is_needed_and_not_shown(program: Program) -> None:
    refused = await program("executions", "list", key="usk_wrong")
    assert refused.code == 2
    assert "401" in refused.errors
    assert "usk_wrong" not in refused.errors


async def test_an_address_without_an_api(program: Program) -> None:
    assert (await program("executions", "list", url="localhost:1")).code == 2
    assert (await program("executions", "list", url="http://127.0.0.1:1")).code == 5
