"""What a client does with workflows and executions, on a running system."""

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import pytest
from tests.client.conftest import GREET

from unspool.client import (
    AsyncClient,
    Conflict,
    ExecutionCancelled,
    ExecutionFaulted,
    Invalid,
    NotEnded,
    NotFound,
    Workflow,
)

V1 = Workflow("shop", "greet", "1.0.0")


async def until(client: AsyncClient, id_: str, status: str) -> None:
    """Waits for a status."""
    async with asyncio.timeout(60):
        while (await client.execution(id_)).status != status:
            await asyncio.sleep(0.02)


async def test_an_execution_from_start_to_result(client: AsyncClient) -> None:
    before = datetime.now(UTC) - timedelta(minutes=1)
    started = await client.start("shop/greet", {"name": "Ada"}, id="order-7", tags={"a": "1"})
    assert (started.id, started.workflow, started.tags) == ("order-7", V1, {"a": "1"})
    assert await client.result("order-7", timeout=60) == {"greeting": "Hello Ada"}
    ended = await client.execution("order-7")
    assert (ended.status, ended.ended, ended.error) == ("completed", True, None)
    assert ended.ended_at is not None
    assert before < ended.created_at <= ended.ended_at


async def test_a_start_can_wait(client: AsyncClient) -> None:
    ended = await client.start("shop/greet:1.0.0", {"name": "Ada"}, wait=60)
    assert ended.output == {"greeting": "Hello Ada"}


async def test_an_id_starts_one_execution(client: AsyncClient) -> None:
    first = await client.start(V1, {"name": "Ada"}, id="it", wait=60)
    assert await client.start(V1, {"name": "Ada"}, id="it") == first
    with pytest.raises(Conflict, match="another input"):
        await client.start(V1, {"name": "Bob"}, id="it")


async def test_an_execution_without_output_raises(client: AsyncClient) -> None:
    refused = await client.start("shop/refuse")
    with pytest.raises(ExecutionFaulted) as faulted:
        await client.result(refused.id, timeout=60)
    assert faulted.value.error["status"] == 409
    assert faulted.value.execution.status == "faulted"

    nap = await client.start("shop/nap")
    with pytest.raises(NotEnded) as late:
        await client.result(nap.id, timeout=0.1)
    assert isinstance(late.value, TimeoutError)
    assert (await client.cancel(nap.id, reason="too slow", wait=60)).status == "cancelled"
    with pytest.raises(ExecutionCancelled):
        await client.result(nap.id, timeout=60)


async def test_operations(client: AsyncClient) -> None:
    await client.start("shop/nap", id="nap")
    assert (await client.suspend("nap", wait=60)).status == "suspended"
    with pytest.raises(Conflict):
        await client.suspend("nap")
    assert (await client.resume("nap", wait=60)).status in {"running", "waiting"}
    await client.start("shop/refuse", id="refused", wait=60)
    await client.retry("refused", wait=60)
    assert [e.type for e in await client.history("refused")].count("workflow.retried") == 1


async def test_lists_read_page_by_page(client: AsyncClient) -> None:
    for number in range(5):
        await client.start(
            "shop/greet", {"name": "Ada"}, id=f"g{number}", tags={"n": str(number % 2)}, wait=60
        )
    await client.start("shop/nap", id="nap")
    await until(client, "nap", "waiting")

    async def ids(**filters: object) -> list[str]:
        return [e.id async for e in client.executions(page_size=2, **filters)]  # type: ignore[arg-type]

    assert await ids() == ["nap", "g4", "g3", "g2", "g1", "g0"]
    assert await ids(status="waiting") == ["nap"]
    assert len(await ids(status=["waiting", "completed"])) == 6
    assert await ids(workflow=V1, tags={"n": "1"}) == ["g3", "g1"]
    assert await ids(since=datetime.now(UTC) + timedelta(hours=1)) == []
    assert len(await ids(since="1h")) == 6
    assert await ids(id="g*") == ["g4", "g3", "g2", "g1", "g0"]


async def test_a_history_with_its_states(client: AsyncClient) -> None:
    await client.start("shop/greet", {"name": "Ada"}, id="it", wait=60)
    history = await client.history("it")
    assert [event.seq for event in history] == list(range(1, len(history) + 1))
    assert (history[0].type, history[-1].type) == ("workflow.started", "workflow.completed")
    assert await client.history("it", after=len(history) - 1) == history[-1:]
    assert await client.state("it", at=0) != await client.state("it")
    assert [event async for event in client.events("it")] == history
    assert [event async for event in client.events("it", after=len(history))] == []


async def test_a_live_history_and_an_event_that_it_waits_for(client: AsyncClient) -> None:
    await client.start("shop/hear", id="it")
    await until(client, "it", "waiting")
    assert "waits for an event of type paid" in (await client.why("it")).sentence
    types = []
    async with asyncio.timeout(60), aclosing(client.events("it")) as events:
        async for event in events:
            types.append(event.type)
            if event.type == "workflow.started":
                assert await client.publish({"type": "paid", "source": "/bank", "data": {"order": 7}}) == 1
    assert types[-1] == "workflow.completed"
    assert await client.result("it") == [{"order": 7}]


async def test_definitions(client: AsyncClient) -> None:
    assert await client.deploy(GREET) == V1
    with pytest.raises(Conflict):
        await client.deploy(GREET.replace("Hello", "Bye"))
    newer = {"document": {"dsl": "1.0.3", "namespace": "shop", "name": "greet", "version": "1.1.0"}}
    with pytest.raises(Invalid) as invalid:
        await client.deploy({**newer, "do": [{"a": {"sett": {"x": 1}}}]})
    assert invalid.value.document["errors"][0]["pointer"].startswith("/do/0/a")
    await client.deploy({**newer, "do": [{"a": {"set": {"x": 1}}}]})
    assert [w.version for w in await client.versions("shop/greet")] == ["1.0.0", "1.1.0"]
    assert all(workflow.created_at for workflow in await client.workflows())
    assert await client.definition(V1) == GREET
    assert '"1.1.0"' in await client.definition("shop/greet")


async def test_what_does_not_exist(client: AsyncClient) -> None:
    for call in (client.execution, client.cancel, client.dead_letter, client.why, client.history):
        with pytest.raises(NotFound) as found:
            await call("no")
        assert (found.value.status, found.value.document["status"]) == (404, 404)
    with pytest.raises(NotFound):
        _ = [event async for event in client.events("no")]


@pytest.mark.parametrize("id_", ["", ".", "..", "a/b", "it/events", "../workflows"])
async def test_an_id_does_not_lead_to_another_path(client: AsyncClient, id_: str) -> None:
    with pytest.raises(ValueError, match="is not an id"):
        await client.execution(id_)


async def test_odd_ids_stay_one_segment(client: AsyncClient) -> None:
    for id_ in ("a?b=c", "a#b", "it%2Fevents", "ä", "a b"):
        with pytest.raises(NotFound, match="execution"):
            await client.execution(id_)


@pytest.mark.parametrize("workflow", ["greet", "shop/", "/greet", ""])
async def test_a_workflow_has_two_names(client: AsyncClient, workflow: str) -> None:
    with pytest.raises(ValueError, match="NAMESPACE/NAME"):
        await client.start(workflow)
