"""The synchronous client: the same as the asynchronous one, for threads."""

import asyncio
import inspect
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.api.conftest import Api

from unspool.client import AsyncClient, Client, ExecutionFaulted, NotFound


def methods(kind: type) -> dict[str, list[inspect.Parameter]]:
    """The public methods with their parameters."""
    found = {name: getattr(kind, name) for name in dir(kind) if not name.startswith("_")}
    return {name: list(inspect.signature(value).parameters.values()) for name, value in found.items()}


def test_both_clients_have_the_same_methods() -> None:
    assert methods(Client) == methods(AsyncClient)
    assert inspect.signature(Client) == inspect.signature(AsyncClient)


async def test_work_from_a_program_without_a_loop(api: Api, client: AsyncClient) -> None:
    def program() -> None:
        with Client(api.url) as plain:
            started = plain.start("shop/greet", {"name": "Ada"}, id="it")
            assert plain.result(started.id, timeout=60) == {"greeting": "Hello Ada"}
            history = plain.history("it")
            assert list(plain.events("it")) == history
            assert [e.id for e in plain.executions(status="completed")] == ["it"]
            with pytest.raises(NotFound):
                plain.execution("no")
            plain.start("shop/refuse", id="refused")
            with pytest.raises(ExecutionFaulted):
                plain.result("refused", timeout=60)

    await asyncio.to_thread(program)


async def test_a_live_history_can_be_left(api: Api, client: AsyncClient) -> None:
    await client.start("shop/nap", id="nap")

    def first() -> str:
        with Client(api.url) as plain:
            for event in plain.events("nap"):
                return event.type
        raise AssertionError

    assert await asyncio.to_thread(first) == "workflow.started"


async def test_threads_share_a_client(api: Api, client: AsyncClient) -> None:
    def program() -> list[str]:
        with Client(api.url) as plain, ThreadPoolExecutor(4) as threads:
            starts = threads.map(lambda n: plain.start("shop/greet", {"name": str(n)}, wait=60), range(8))
            return [execution.output["greeting"] for execution in starts]

    assert await asyncio.to_thread(program) == [f"Hello {n}" for n in range(8)]


def test_a_closed_client_says_so_and_leaves_no_thread() -> None:
    client = Client("http://127.0.0.1:1")
    client.close()
    client.close()
    assert "unspool-client" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(RuntimeError, match="closed"):
        client.workflows()
