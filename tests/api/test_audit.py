"""Who did what to which execution, in its history."""

import asyncio

import pytest
from tests.api.keys import ON, bearer, key_for

from unspool.cli.node import Node
from unspool.eventstore.consumers import Consumer
from unspool.eventstore.records import ExecutionKey, Status
from unspool.worker.interpreter import fold
from unspool.worker.interpreter.state import State

DEADLINE_SECONDS = 60

SLEEP = """\
document: {dsl: '1.0.3', namespace: shop, name: sleep, version: '1.0.0'}
do:
  - nap: {wait: {minutes: 10}}
"""

WORKER = Consumer("workers", "one")


@pytest.fixture
async def worked(store, running_api, tmp_path):
    """An API with authentication, and a worker."""
    url = f"sqlite:///{tmp_path}/store.db"
    async with running_api(store, authentication=ON) as running, Node(store, url, services=["worker"]):
        yield running


async def history(api, id_, headers):
    """Returns the type of each event, with who asked for it and why."""
    events = (await api.get(f"/executions/{id_}/events", headers=headers))["items"]
    return [
        (event["type"], event["data"]["by"], event["data"].get("reason"))
        for event in events
        if "by" in event["data"]
    ]


async def test_a_history_names_those_who_acted(worked, store):
    admin = bearer(await key_for(store, "admin", name="root"))
    ci = bearer(await key_for(store, "start", name="ci"))
    operator = bearer(await key_for(store, "operate", name="ada"))
    await worked.deploy(SLEEP, headers=admin)
    await worked.post("/workflows/shop/sleep/executions", 202, json={"id": "one"}, headers=ci)
    for operation in (
        "suspend?wait=60&reason=maintenance",
        "resume?wait=60",
        "cancel?wait=60&reason=%3Cb%3E%0A",
    ):
        await worked.post(f"/executions/one/{operation}", 200, headers=operator)

    shown = await worked.get("/executions/one", headers=operator)
    assert shown["by"] == "key:ci"
    assert await history(worked, "one", operator) == [
        ("workflow.started", "key:ci", None),
        ("workflow.suspended", "key:ada", "maintenance"),
        ("workflow.resumed", "key:ada", None),
        ("workflow.cancelled", "key:ada", "<b>\n"),
    ]
    await worked.post(f"/executions/one/cancel?reason={'x' * 501}", 422, headers=operator)


async def test_a_retry_is_recorded(worked, store):
    admin = bearer(await key_for(store, "admin", name="root"))
    faulty = SLEEP.replace(
        "{wait: {minutes: 10}}", "{raise: {error: {type: 'https://a.example/e', status: 500}}}"
    )
    await worked.deploy(faulty, headers=admin)
    await worked.post("/workflows/shop/sleep/executions?wait=60", 200, json={"id": "one"}, headers=admin)
    await worked.post("/executions/one/retry?wait=60&reason=again", 200, headers=admin)
    assert ("workflow.retried", "key:root", "again") in await history(worked, "one", admin)


async def test_sessions_act_in_the_name_of_their_key(worked, store):
    key = await key_for(store, "admin", name="ada")
    response, body = await worked.call("POST", "/session", 201, json={"token": key})
    page = {
        "Cookie": response.headers["Set-Cookie"].partition(";")[0],
        "Origin": worked.url,
        "X-CSRF-Token": body["csrf"],
    }
    await worked.deploy(SLEEP, headers=page)
    await worked.post("/workflows/shop/sleep/executions", 202, json={"id": "one"}, headers=page)
    await worked.post("/executions/one/cancel?wait=60", 200, headers=page)
    assert {by for _, by, _ in await history(worked, "one", page)} == {"key:ada"}


async def test_without_authentication_the_actor_is_anonymous(store, api, tmp_path):
    async with Node(store, f"sqlite:///{tmp_path}/store.db", services=["worker"]):
        await api.deploy(SLEEP)
        await api.post("/workflows/shop/sleep/executions", 202, json={"id": "one"})
        await api.post("/executions/one/cancel?wait=60", 200)
    assert await history(api, "one", {}) == [
        ("workflow.started", "anonymous", None),
        ("workflow.cancelled", "anonymous", None),
    ]


async def stuck(api, store, headers):
    """Starts an execution whose next message becomes a dead letter; returns the letter's id."""
    await api.deploy(SLEEP, headers=headers)
    await api.post("/workflows/shop/sleep/executions", 202, json={"id": "one"}, headers=headers)
    [delivery] = await store.receive_messages(WORKER, 1, 5)
    await store.acknowledge([delivery])
    await api.begin("one")
    await api.post("/executions/one/suspend", 202, headers=headers)
    [delivery] = await store.receive_messages(WORKER, 1, 5)
    return await store.move_to_dead_letters(delivery, "ValueError: poison", "")


@pytest.mark.parametrize("operation", ["requeued", "discarded"])
async def test_what_is_done_to_dead_letters_is_recorded(store, running_api, tmp_path, operation):
    async with running_api(store, authentication=ON) as running:
        admin = bearer(await key_for(store, "admin", name="ada"))
        letter = await stuck(running, store, admin)
        if operation == "requeued":
            await running.post(f"/dlq/{letter}/requeue?reason=fixed", 202, headers=admin)
        else:
            await running.call("DELETE", f"/dlq/{letter}?reason=fixed", 204, headers=admin)
        async with (
            Node(store, f"sqlite:///{tmp_path}/store.db", services=["worker"]),
            asyncio.timeout(DEADLINE_SECONDS),
        ):
            entry = (f"dead-letter.{operation}", "key:ada", "fixed")
            while entry not in await history(running, "one", admin):
                await asyncio.sleep(0.05)
        events = await store.history(ExecutionKey("default", "one"))
        [recorded] = [event for event in events if event.type.startswith("dead-letter.")]
        assert recorded.data["letter"] == letter
        assert recorded.data["error"] == "ValueError: poison"
        assert fold(State("one"), events).version == len(events)


async def test_the_record_of_an_ended_execution_does_not_change(store, running_api):
    async with running_api(store, authentication=ON) as running:
        admin = bearer(await key_for(store, "admin"))
        letter = await stuck(running, store, admin)
        await running.commit("one", Status.CANCELLED, ("workflow.cancelled", {}))
        await running.call("DELETE", f"/dlq/{letter}", 204, headers=admin)
        assert await store.receive_messages(WORKER, 10, 0) == []


async def test_a_record_that_is_a_dead_letter_can_be_discarded(store, running_api):
    async with running_api(store, authentication=ON) as running:
        admin = bearer(await key_for(store, "admin"))
        letter = await stuck(running, store, admin)
        await running.call("DELETE", f"/dlq/{letter}", 204, headers=admin)
        [delivery] = await store.receive_messages(WORKER, 1, 5)
        letter = await store.move_to_dead_letters(delivery, "ValueError: poison", "")
        await running.call("DELETE", f"/dlq/{letter}", 204, headers=admin)
        assert await store.receive_messages(WORKER, 10, 0) == []
        assert (await running.get("/dlq", headers=admin))["items"] == []
