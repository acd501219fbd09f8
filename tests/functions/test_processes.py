"""Executors as operators run them: processes with `--functions` and `--queue`, killed in the middle."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from unspool.eventstore.opening import open_store
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import Definition, ExecutionKey, Start, WorkflowRef

FUNCTIONS = """\
import os
import time
from pathlib import Path

from unspool.functions import Context, function


@function("charge")
def charge(context: Context) -> list:
    with Path("charged").open("a") as file:
        print(os.getpid(), context.idempotency_key, context.attempt, file=file, flush=True)
    while context.attempt == 1:  # it ignores every cancellation
        time.sleep(0.05)
    return [context.idempotency_key, context.attempt]


@function("embed", version="2.0.0", queue="gpu")
async def embed(text: str) -> dict:
    return {"text": text}
"""

WORKFLOW = """\
document: {dsl: '1.0.3', namespace: shop, name: charge, version: '1.0.0'}
do: [{a: {call: charge}}]
"""
REF = WorkflowRef("shop", "charge", "1.0.0")


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., list[str]]:
    """The command line of the program; the module with the functions is in its directory."""
    (tmp_path / "shop_functions.py").write_text(FUNCTIONS)
    return lambda *arguments: [sys.executable, "-m", "unspool.cli", *arguments]


@pytest.fixture
def serve(command, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts services, which are killed after the test."""
    with contextlib.ExitStack() as stack:

        def start(*arguments: str) -> subprocess.Popen[bytes]:
            environment = {**os.environ, "UNSPOOL_EXECUTOR_STOP_GRACE_SECONDS": "0.2"}
            process = subprocess.Popen(
                command(*arguments), stderr=subprocess.DEVNULL, cwd=tmp_path, env=environment
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            return process

        yield start


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(150):
        while not holds():
            await asyncio.sleep(0.05)


async def output_of(store: EventStore, key: ExecutionKey) -> object:
    async with asyncio.timeout(150):
        while not (record := await store.execution(key)).status.ended:
            await store.wait_for_version(key, record.version, 0.5)
    return (await store.history(key))[-1].data["output"]


@pytest.mark.timeout(500)
async def test_another_executor_calls_again_with_the_same_key_if_one_is_killed(serve, tmp_path, store_url):
    executor = ("executor", "--functions", "shop_functions", "--store", store_url)
    key, charged = ExecutionKey("default", "one"), tmp_path / "charged"

    def calls() -> list[list[str]]:
        return [line.split() for line in charged.read_text().splitlines()] if charged.exists() else []

    store = await open_store(store_url, {})
    first = serve(*executor)
    async with asyncio.timeout(150):
        while not await store.functions():
            await asyncio.sleep(0.05)
    serve("worker", "--store", store_url)
    await store.put_definition("default", Definition(REF, WORKFLOW, 1))
    await store.start(Start(key, REF, {}, 1))
    await until(lambda: len(calls()) == 1)
    second = serve(*executor)
    first.kill()
    await until(lambda: len(calls()) == 2)
    assert calls() == [[str(first.pid), "one/1", "1"], [str(second.pid), "one/1", "2"]]
    assert await output_of(store, key) == ["one/1", 2]

    # A function that ignores its cancellation does not keep the process alive.
    await store.start(Start(ExecutionKey("default", "two"), REF, {}, 1))
    await until(lambda: len(calls()) == 3)
    second.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(second.wait, 150) == 0
    await store.close()


@pytest.mark.timeout(500)
async def test_functions_with_a_queue_of_their_own_run_only_where_the_operator_says_so(
    serve, command, tmp_path
):
    url = f"sqlite:///{tmp_path}/store.db"
    store = await open_store(url, {})

    async def served(*queues: str) -> None:
        async with asyncio.timeout(150):
            while set(await store.queues_served()) & {"gpu", "functions:shop_functions", "http"} != {*queues}:
                await asyncio.sleep(0.05)

    plain = serve("executor", "--functions", "shop_functions", "--store", url)
    await served("functions:shop_functions", "http")
    assert [each.name for each in await store.functions()] == ["charge"]
    serve("executor", "--functions", "./shop_functions.py", "--queue", "gpu", "--store", url)
    await served("functions:shop_functions", "http", "gpu")
    plain.send_signal(signal.SIGTERM)
    await served("gpu")
    await store.close()

    listing = await asyncio.to_thread(
        subprocess.run, command("functions", "list", "--json", "--store", url), capture_output=True
    )
    charge, embed = map(json.loads, listing.stdout.splitlines())
    assert (charge["name"], charge["queue"], charge["executors"]) == ("charge", "functions:shop_functions", 0)
    assert (embed["name"], embed["version"], embed["queue"], embed["executors"]) == (
        "embed",
        "2.0.0",
        "gpu",
        1,
    )
    assert embed["input"]["required"] == ["text"]
    wrong = await asyncio.to_thread(
        subprocess.run,
        command("executor", "--functions", "shop_functions", "--queue", "tpu", "--store", url),
        cwd=tmp_path,
        capture_output=True,
    )
    assert wrong.returncode == 2
    assert b"no function has the queue 'tpu'; they have functions:shop_functions, gpu" in wrong.stderr
