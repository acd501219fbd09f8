"""Every route of the API has a method of the client, or a reason not to have one."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tests.api.conftest import Api, run_api

from unspool.api.engine import Engine
from unspool.api.openapi import document
from unspool.client import AsyncClient
from unspool.eventstore.opening import open_store

METHODS = {
    "listWorkflows": AsyncClient.workflows,
    "deployWorkflow": AsyncClient.deploy,
    "listVersions": AsyncClient.versions,
    "startExecution": AsyncClient.start,
    "getWorkflow": AsyncClient.definition,
    "getDiagram": AsyncClient.diagram,
    "getFindings": AsyncClient.findings,
    "checkInput": AsyncClient.check_input,
    "getStatistics": AsyncClient.statistics,
    "listExecutions": AsyncClient.executions,
    "countExecutions": AsyncClient.counts,
    "getExecution": AsyncClient.execution,
    "listEvents": AsyncClient.history,
    "streamEvents": AsyncClient.events,
    "getState": AsyncClient.state,
    "getExecutionDiagram": AsyncClient.execution_diagram,
    "getTimeline": AsyncClient.timeline,
    "explainExecution": AsyncClient.why,
    "cancelExecution": AsyncClient.cancel,
    "suspendExecution": AsyncClient.suspend,
    "resumeExecution": AsyncClient.resume,
    "retryExecution": AsyncClient.retry,
    "publishEvents": AsyncClient.publish,
    "streamPublishedEvents": AsyncClient.published_events,
    "getPublishedEvent": AsyncClient.published_event,
    "listFunctions": AsyncClient.functions,
    "listServices": AsyncClient.services,
    "listSchedules": AsyncClient.schedules,
    "pauseSchedule": AsyncClient.pause_schedule,
    "resumeSchedule": AsyncClient.resume_schedule,
    "listDeadLetters": AsyncClient.dead_letters,
    "getDeadLetter": AsyncClient.dead_letter,
    "discardDeadLetter": AsyncClient.discard,
    "requeueDeadLetter": AsyncClient.requeue,
    "listKeys": AsyncClient.keys,
    "createKey": AsyncClient.create_key,
    "revokeKey": AsyncClient.revoke_key,
    "getCaller": AsyncClient.caller,
}

EXCEPTIONS = {
    "receiveWebhook": "services of others call it, with signatures of their own",
    "logIn": "a browser gets a cookie; programs send their token",
    "logOut": "a browser ends its session",
    "logInAtIssuer": "a browser goes to the issuer",
    "finishLogin": "a browser comes back from the issuer",
    "isLive": "for probes",
    "isReady": "for probes",
    "getMetrics": "Prometheus reads it",
    "getDiagramStyle": "for pages; an SVG of the client contains its style",
    "getOpenApi": "the client is made from it by hand",
    "getDocs": "a page for people",
}

PAID = {"source": "/bank", "type": "paid"}


def test_every_route_has_a_method() -> None:
    operations = {
        operation["operationId"]
        for path in document(authentication=True)["paths"].values()
        for name, operation in path.items()
        if name in {"get", "post", "put", "delete"}
    }
    assert operations == METHODS.keys() | EXCEPTIONS.keys()
    assert METHODS.keys().isdisjoint(EXCEPTIONS)


def test_every_method_is_of_a_route() -> None:
    public: dict[str, Callable[..., Any]] = {
        name: getattr(AsyncClient, name) for name in dir(AsyncClient) if not name.startswith("_")
    }
    derived = {"close", "publish_batch", "result"}  # of `publish`; of `execution` with `wait`
    assert {name for name, value in public.items() if value not in METHODS.values()} == derived


async def test_published_events_are_streamed_and_resumed(api: Api, client: AsyncClient) -> None:
    await client.publish({**PAID, "id": "0"})
    stream = client.published_events(type="paid")
    waiting = asyncio.ensure_future(anext(stream))
    for number in range(1, 1000):  # the stream begins with the next event: publish until it is open
        await client.publish({"source": "/bank", "type": "refunded"}, {**PAID, "id": str(number)})
        done, _ = await asyncio.wait([waiting], timeout=0.1)
        if done:
            break
    first = await waiting
    assert first.event["type"] == "paid"
    received = await client.published_event(first.id)
    assert (received.event["id"], received.accepted_by) == (first.event["id"], [])
    assert first.published_at == received.published_at is not None
    await stream.aclose()
    await client.publish({**PAID, "id": "later"})
    resumed = client.published_events(after=first.id, source="/bank")
    ids = []
    async for published in resumed:
        ids.append(published.event["id"])
        if ids[-1] == "later":
            break
    await resumed.aclose()
    assert first.event["id"] not in ids


async def test_a_history_in_pages(client: AsyncClient) -> None:
    await client.start("shop/greet", {"name": "Ada"}, id="it", wait=60)
    whole = await client.history("it")
    pages = []
    while page := await client.history("it", after=len(pages), limit=2):
        assert len(page) <= 2
        pages += page
    assert pages == whole
    assert len(whole) > 2


async def test_diagrams_timelines_and_counts(client: AsyncClient) -> None:
    await client.start("shop/greet", {"name": "Ada"}, id="it", wait=60)
    await client.start("shop/nap", id="nap")
    assert "hello" in await client.diagram("shop/greet:1.0.0")
    assert "completed" in await client.execution_diagram("it")
    timeline = await client.timeline("it")
    assert (timeline.execution, timeline.status) == ("it", "completed")
    assert [run["name"] for run in timeline.runs] == ["hello"]
    assert timeline.start is not None
    [short] = [each async for each in client.executions(status="completed", summary=True)]
    assert (short.id, short.input, short.output) == ("it", None, None)
    counts = await client.counts()
    assert counts.executions["completed"] == 1
    assert await client.findings("shop/greet") == []
    assert await client.check_input("shop/greet", {"name": 7}) == []
    statistics = await client.statistics("shop/greet:1.0.0", since="1h")
    assert statistics.oldest is not None
    assert (statistics.executions, statistics.success_rate, statistics.open) == (1, 1.0, 0)


async def test_services_functions_and_the_caller(client: AsyncClient) -> None:
    system = await client.services()
    async with asyncio.timeout(60):  # a worker is listed after its first heartbeat
        while "worker" not in {service.service for service in system.services}:
            await asyncio.sleep(0.05)
            system = await client.services()
    assert "inbox" in {queue.queue for queue in system.queues}
    assert system.dead_letters == 0
    assert await client.functions() == []
    caller = await client.caller()
    assert (caller.authentication, "admin" in caller.scopes) == (False, True)


@pytest.mark.parametrize("all_tenants", [True, False])
async def test_keys_of_all_tenants(store_url: str, jq, settings, all_tenants) -> None:
    store = await open_store(store_url, {})
    async with run_api(store, Engine(jq), settings) as api, AsyncClient(api.url) as client:
        made = await client.create_key("ci", ["read"], all_tenants=all_tenants)
        assert made.key.tenant == (None if all_tenants else "default")
        assert [key.document for key in await client.keys()] == [made.key.document]
        assert made.token not in str(made.key.document)
    await store.close()
