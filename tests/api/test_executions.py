"""Executions over HTTP: start, wait, show, list, operate."""

import asyncio
import re
import time

import aiohttp
import pytest

from unspool.eventstore.consumers import Consumer
from unspool.eventstore.records import MessageKind, Status

WORKER = Consumer("workers", "one")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture(autouse=True)
async def _deployed(api, greet):
    await api.deploy(greet)


# -- start


async def test_a_start_keeps_the_trace_context_of_its_caller(api):
    context = f"00-{'a' * 32}-{'b' * 16}-01"
    path = "/workflows/shop/greet/executions"
    await api.post(path, 202, json={"id": "one"}, headers={"traceparent": context})
    await api.post(path, 202, json={"id": "two"}, headers={"traceparent": "rubbish"})
    found = await api.store.receive_messages(WORKER, 10, 0)
    assert {each.body.execution: each.body.body.get("traceparent") for each in found} == {
        "one": context,
        "two": None,
    }


async def test_a_started_execution_is_pending(api):
    execution = await api.start(input={"name": "Ada"})
    assert TIME.fullmatch(execution.pop("createdAt"))
    assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{26}", execution.pop("id"))
    assert execution == {
        "workflow": {"namespace": "shop", "name": "greet", "version": "1.0.0"},
        "status": "pending",
        "input": {"name": "Ada"},
        "startedAt": None,
        "endedAt": None,
        "parent": None,
        "tags": {},
        "tenant": "default",
        "by": None,
    }


async def test_the_location_is_the_url_of_the_execution(api):
    response, execution = await api.call(
        "POST", "/workflows/shop/greet/executions", 202, json={"id": "a.b-c"}
    )
    assert response.headers["Location"] == "/api/v1/executions/a.b-c"
    assert await api.get("/executions/a.b-c") == execution


async def test_input_and_id_are_optional(api):
    for arguments in [{}, {"json": {}}, {"json": {"id": None}}, {"data": b""}]:
        execution = await api.post("/workflows/shop/greet/executions", 202, **arguments)
        assert execution["input"] == {}


async def test_any_json_may_be_the_input(api):
    for value in [None, 0, "text", [1, [2]], {"a": {"__proto__": 1}}, 9223372036854775807, 1.5]:
        execution = await api.start(input=value)
        assert (await api.get(f"/executions/{execution['id']}"))["input"] == value


async def test_a_version_can_be_chosen(api, greet):
    await api.deploy(greet.replace("version: '1.0.0'", "version: '2.0.0'"))
    assert (await api.start(query="?version=1.0.0"))["workflow"]["version"] == "1.0.0"
    assert (await api.start(query="?version=latest"))["workflow"]["version"] == "2.0.0"
    assert (await api.start())["workflow"]["version"] == "2.0.0"
    await api.start(expect=404, query="?version=3.0.0")


async def test_the_worker_gets_a_start_message(api):
    execution = await api.start(input=7)
    [delivery] = await api.store.receive_messages(Consumer("workers", "one"), 10, 5)
    assert (delivery.body.kind, delivery.body.execution) == (MessageKind.START, execution["id"])


async def test_the_same_id_again_is_the_same_execution(api, greet):
    first = await api.start(id="order-7", input={"name": "Ada", "n": 1})
    assert await api.start(200, id="order-7", input={"n": 1, "name": "Ada"}) == first
    await api.begin("order-7")
    await api.move("order-7", Status.COMPLETED)
    await api.deploy(greet.replace("version: '1.0.0'", "version: '2.0.0'"))
    again = await api.start(200, id="order-7", input={"name": "Ada", "n": 1})
    assert (again["status"], again["workflow"]["version"]) == ("completed", "1.0.0")
    latest = await api.start(200, "?version=latest", id="order-7", input={"name": "Ada", "n": 1})
    assert latest == again


async def test_many_starts_of_one_id_make_one_execution(api):
    path = "/workflows/shop/greet/executions"
    answers = await asyncio.gather(*(api.call("POST", path, json={"id": "once"}) for _ in range(10)))
    assert sorted(response.status for response, _ in answers) == [200] * 9 + [202]
    assert len((await api.get("/executions"))["items"]) == 1


async def test_an_id_of_another_execution_is_rejected(api, greet):
    await api.deploy(greet.replace("name: greet", "name: part"))
    await api.deploy(greet.replace("version: '1.0.0'", "version: '2.0.0'"))
    await api.start(id="order-7", input=1)
    assert "input" in (await api.start(409, id="order-7", input=2))["detail"]
    assert "input" in (await api.start(409, id="order-7", input=True))["detail"]
    problem = await api.post("/workflows/shop/part/executions", 409, json={"id": "order-7", "input": 1})
    assert "shop/greet:2.0.0" in problem["detail"]
    await api.start(409, "?version=1.0.0", id="order-7", input=1)


async def test_bodies_of_the_wrong_form_are_rejected(api):
    for body in [
        [],
        "text",
        1,
        {"id": 7},
        {"id": ""},
        {"id": "a b"},
        {"id": "x" * 129},
        {"id": "a}:{b"},
        {"inputs": {}},
    ]:
        await api.post("/workflows/shop/greet/executions", 422, json=body)


async def test_a_wait_out_of_bounds_is_rejected(api):
    for wait in ["-1", "3601", "soon", "nan", "inf", "1e9", "1_0", "%D9%A1", "%201"]:
        assert "wait" in (await api.start(422, f"?wait={wait}"))["detail"]


async def test_an_unknown_workflow_is_not_found(api):
    await api.post("/workflows/shop/nothing/executions", 404, json={})


# -- wait


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAULTED, Status.CANCELLED])
async def test_wait_answers_when_the_execution_has_ended(api, status):
    waiting = asyncio.create_task(api.start(200, "?wait=30", id="long", input=1))
    await api.started("long")
    await api.begin("long")
    began = time.monotonic()
    await api.move("long", status)
    execution = await waiting
    assert time.monotonic() - began < 20
    assert execution["status"] == status
    assert TIME.fullmatch(execution["endedAt"])
    assert ("output" in execution, "error" in execution) == (
        status is Status.COMPLETED,
        status is Status.FAULTED,
    )


async def test_wait_answers_202_when_the_time_is_up(api):
    began = time.monotonic()
    execution = await api.start(202, "?wait=0.3")
    assert execution["status"] == "pending"
    assert 0.3 <= time.monotonic() - began < 60


async def test_wait_with_the_id_of_an_existing_execution(api):
    await api.start(id="twice")
    assert (await api.start(200, "?wait=0.1", id="twice"))["status"] == "pending"
    await api.begin("twice")
    await api.move("twice", Status.COMPLETED)
    assert (await api.start(200, "?wait=30", id="twice"))["status"] == "completed"


async def test_a_client_that_disconnects_ends_the_wait(api):
    with pytest.raises(TimeoutError):
        await api.call(
            "POST",
            "/workflows/shop/greet/executions?wait=60",
            json={},
            timeout=aiohttp.ClientTimeout(total=0.3),
        )
    await api.eventually(lambda: api.in_progress == 0, "the request to end")


async def test_a_store_lost_during_a_wait_does_not_hide_the_start(api):
    waiting = asyncio.create_task(
        api.call("POST", "/workflows/shop/greet/executions?wait=30", json={"id": "one"})
    )
    await api.started("one")
    await api.store.close()
    response, execution = await waiting
    assert (response.status, execution["id"]) == (202, "one")
    assert response.headers["Location"].endswith("/one")


@pytest.mark.parametrize("query", ["", "?wait=30"])
async def test_a_store_lost_just_after_a_start_does_not_hide_it(store, running_api, monkeypatch, query):
    start = store.start

    async def start_and_lose(given):
        created = await start(given)
        await store.close()
        return created

    monkeypatch.setattr(store, "start", start_and_lose)
    async with running_api(store) as other:
        execution = await other.start(202, query, id="one", input=1)
    assert (execution["id"], execution["status"], execution["input"]) == ("one", "pending", 1)


async def test_stopping_ends_waits(api):
    waiting = asyncio.create_task(api.start(202, "?wait=60", id="long"))
    await api.started("long")
    api.stop.set()
    assert (await waiting)["status"] == "pending"
    await asyncio.wait_for(api.serving, 20)


# -- show and list


async def test_a_completed_execution_has_its_output(api):
    await api.start(id="done", input={"name": "Ada"})
    await api.begin("done")
    running = await api.get("/executions/done")
    assert (running["status"], running["input"]) == ("running", {"name": "Ada"})
    assert TIME.fullmatch(running["startedAt"])
    await api.move("done", Status.COMPLETED)
    done = await api.get("/executions/done")
    assert done["output"] == {"greeting": "Hello Ada"}
    assert "error" not in done


async def test_a_faulted_execution_has_its_error(api):
    await api.start(id="broken")
    await api.begin("broken")
    await api.move("broken", Status.FAULTED)
    broken = await api.get("/executions/broken")
    assert broken["error"] == {
        "type": "https://example.com/errors/broken",
        "status": 500,
        "instance": "/do/0/hello",
    }
    assert "output" not in broken


async def test_an_unknown_execution_is_not_found(api):
    for id_ in ["nothing", "a%20b", "%7Bx%7D", "x" * 129, "%2e%2e%2fx", "%00"]:
        for path in ("", "/events", "/events/stream", "/state"):
            await api.get(f"/executions/{id_}{path}", 404)
        for operation in ("cancel", "suspend", "resume", "retry"):
            await api.post(f"/executions/{id_}/{operation}", 404)


async def test_another_tenants_execution_is_not_found(api):
    await api.start(id="mine")
    other = {"X-Tenant": "other"}
    await api.get("/executions/mine", 404, headers=other)
    await api.post("/executions/mine/cancel", 404, headers=other)
    assert (await api.get("/executions", headers=other))["items"] == []


async def test_pages_hold_every_execution_once_newest_first(api):
    started = [(await api.start())["id"] for _ in range(7)]
    seen, query = [], "?limit=3"
    while query:
        page = await api.get(f"/executions{query}")
        assert len(page["items"]) <= 3
        seen += [item["id"] for item in page["items"]]
        query = page["next"] and f"?limit=3&cursor={page['next']}"
    assert sorted(seen) == sorted(started)
    assert seen[0] in started[-3:]


async def test_lists_can_be_filtered(api, greet):
    await api.deploy(greet.replace("name: greet", "name: part"))
    await api.post("/workflows/shop/part/executions", 202, json={"id": "of-part"})
    for id_ in ("one", "two"):
        await api.start(id=id_)
    await api.begin("two")
    await api.move("two", Status.COMPLETED)

    async def ids_of(query: str) -> set[str]:
        return {item["id"] for item in (await api.get(f"/executions?{query}"))["items"]}

    assert await ids_of("status=completed") == {"two"}
    assert await ids_of("workflow=shop/greet") == {"one", "two"}
    assert await ids_of("workflow=shop/greet&status=pending") == {"one"}
    assert await ids_of("workflow=shop/nothing") == set()
    assert await ids_of("status=&workflow=&cursor=") == {"one", "two", "of-part"}


async def test_invalid_parameters_are_rejected(api):
    for query in [
        "status=done",
        "limit=0",
        "limit=201",
        "limit=ten",
        "limit=-1",
        "limit=%D9%A3",
        "workflow=shop",
        "cursor=x",
    ]:
        await api.get(f"/executions?{query}", 422)


# -- operate

BEFORE = {
    Status.PENDING: (),
    Status.RUNNING: (Status.RUNNING,),
    Status.WAITING: (Status.RUNNING, Status.WAITING),
    Status.SUSPENDED: (Status.RUNNING, Status.SUSPENDED),
    Status.CANCELLED: (Status.RUNNING, Status.CANCELLED),
    Status.FAULTED: (Status.RUNNING, Status.FAULTED),
    Status.COMPLETED: (Status.RUNNING, Status.COMPLETED),
}
ALLOWED = {
    "cancel": {Status.PENDING, Status.RUNNING, Status.WAITING, Status.SUSPENDED},
    "suspend": {Status.PENDING, Status.RUNNING, Status.WAITING},
    "resume": {Status.SUSPENDED},
    "retry": {Status.FAULTED},
}


EFFECTS = {
    "cancel": (Status.RUNNING, "workflow.cancelled", Status.CANCELLED),
    "suspend": (Status.RUNNING, "workflow.suspended", Status.SUSPENDED),
    "resume": (Status.SUSPENDED, "workflow.resumed", Status.RUNNING),
    "retry": (Status.FAULTED, "workflow.retried", Status.RUNNING),
}


async def bring_to(api, status):
    """Starts execution `it` and commits events up to this status."""
    await api.start(id="it")
    await api.store.acknowledge(await api.store.receive_messages(WORKER, 10, 5))
    for step in BEFORE[status]:
        await (api.begin("it") if step is Status.RUNNING else api.move("it", step))


async def requested(api, operation):
    """Waits until the worker has the message of an operation."""
    [delivery] = await api.store.receive_messages(WORKER, 10, 60)
    assert (delivery.body.kind, delivery.body.execution) == (operation, "it")


@pytest.mark.parametrize("operation", EFFECTS)
async def test_wait_answers_when_the_operation_has_taken_effect(api, operation):
    before, event, after = EFFECTS[operation]
    await bring_to(api, before)
    waiting = asyncio.create_task(api.post(f"/executions/it/{operation}?wait=30", 200))
    await requested(api, operation)
    await api.commit("it", before, ("task.created", {"parent": "0"}))
    began = time.monotonic()
    await api.commit("it", after, (event, {}))
    execution = await waiting
    assert time.monotonic() - began < 20
    assert execution == await api.get("/executions/it")
    assert execution["status"] == after


@pytest.mark.parametrize("operation", EFFECTS)
async def test_wait_answers_202_without_an_effect(api, operation):
    before = EFFECTS[operation][0]
    await bring_to(api, before)
    began = time.monotonic()
    assert (await api.post(f"/executions/it/{operation}?wait=0.3", 202))["status"] == before
    assert 0.3 <= time.monotonic() - began < 60
    assert (await api.post(f"/executions/it/{operation}?wait=0", 202))["status"] == before


async def test_an_effect_counts_even_if_the_status_changes_again(api):
    await bring_to(api, Status.FAULTED)
    waiting = asyncio.create_task(api.post("/executions/it/retry?wait=30", 200))
    await requested(api, "retry")
    error = {"error": {"type": "https://example.com/errors/broken", "status": 500}}
    await api.commit("it", Status.FAULTED, ("workflow.retried", {}), ("workflow.faulted", error))
    assert (await waiting)["error"] == error["error"]


async def test_an_operation_that_becomes_impossible_is_409(api):
    await bring_to(api, Status.RUNNING)
    waiting = asyncio.create_task(api.post("/executions/it/suspend?wait=30", 409))
    await requested(api, "suspend")
    await api.move("it", Status.COMPLETED)
    assert "is completed" in (await waiting)["detail"]


@pytest.mark.parametrize("wait", ["-1", "3601", "soon", "nan", "inf", "1e9"])
async def test_an_operation_with_an_invalid_wait_is_rejected(api, wait):
    await bring_to(api, Status.RUNNING)
    for operation in ALLOWED:
        problem = await api.post(f"/executions/it/{operation}?wait={wait}", 422)
        assert "wait" in problem["detail"]
    assert await api.store.receive_messages(WORKER, 10, 0) == []


async def test_stopping_and_disconnecting_end_the_wait_for_an_operation(api):
    await bring_to(api, Status.RUNNING)
    disconnecting = asyncio.create_task(api.call("POST", "/executions/it/cancel?wait=60"))
    await requested(api, "cancel")
    disconnecting.cancel()
    await asyncio.gather(disconnecting, return_exceptions=True)
    await api.eventually(lambda: api.in_progress == 0, "the request to end")
    waiting = asyncio.create_task(api.post("/executions/it/suspend?wait=60", 202))
    await requested(api, "suspend")
    api.stop.set()
    assert (await waiting)["status"] == "running"
    await asyncio.wait_for(api.serving, 20)


@pytest.mark.parametrize("status", Status)
async def test_the_status_decides_which_operations_are_allowed(api, status):
    await bring_to(api, status)

    for operation, statuses in ALLOWED.items():
        if status in statuses:
            assert (await api.post(f"/executions/it/{operation}", 202))["status"] == status
            [delivery] = await api.store.receive_messages(WORKER, 10, 5)
            assert (delivery.body.kind, delivery.body.execution) == (operation, "it")
            await api.store.acknowledge([delivery])
        else:
            problem = await api.post(f"/executions/it/{operation}", 409)
            assert f"is {status}" in problem["detail"]
    assert await api.store.receive_messages(WORKER, 10, 0) == []
