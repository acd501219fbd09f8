"""`GET /services`: what runs and what waits."""

import asyncio
import os
import socket

import jsonschema
from tests.background import repeating, served

from unspool.eventstore.consumers import EXECUTORS, TIMERS, Capacity, Consumer, Load
from unspool.eventstore.records import Commit, ExecutionKey, TaskRequest
from unspool.worker.service import WorkerService
from unspool.worker.settings import WorkerSettings

EXECUTOR = Consumer(EXECUTORS, "x1", frozenset({"http"}))


async def shown(api, wanted):
    """The answer, as soon as it is what is wanted: it is read from the store every two seconds."""
    async with asyncio.timeout(60):
        while not wanted(found := await api.get("/services")):
            await asyncio.sleep(0.05)
    return found


async def alive(store):
    """An executor and a timer service that live."""
    while True:
        await store.heartbeat(EXECUTOR, Load.BUSY, Capacity(64, 64))
        await store.heartbeat(Consumer(TIMERS, "t1"))
        await asyncio.sleep(0.5)


async def test_services_are_shown_with_version_and_load(api, store, jq):
    worker = WorkerService(store, jq, WorkerSettings(), "w1")
    async with repeating(alive(store)), served(worker):
        # The first heartbeat of a worker does not tell its capacity.
        found = await shown(
            api,
            lambda found: len(found["items"]) == 3 and {e["capacity"] for e in found["items"]} >= {64, 512},
        )

    items = {each["service"]: each for each in found["items"]}
    assert items["executor"]["queues"] == ["http"]
    assert (items["executor"]["load"], items["executor"]["used"], items["executor"]["capacity"]) == (
        "busy", 64, 64,
    )  # fmt: skip
    assert items["timer"]["name"] == "t1"
    assert items["worker"]["capacity"] == 4 * 128
    assert (items["worker"]["host"], items["worker"]["pid"]) == (socket.gethostname(), os.getpid())


async def test_queues_are_shown_with_what_waits(api, store, make_event):
    await api.deploy()
    await api.start(id="one")
    await api.start(id="two")
    key = ExecutionKey("default", "one")
    task = TaskRequest("one", "r1", "/do/0/hello", "special", {})
    await store.commit(
        Commit(key=key, commit_id="c1", expected_version=0, events=(make_event,), tasks=(task,))
    )

    async with repeating(alive(store)):
        found = await shown(
            api, lambda found: found["items"] and any(each["waiting"] for each in found["queues"][1:])
        )

    queues = {each["queue"]: each for each in found["queues"]}
    assert queues["inbox"]["waiting"] == 2
    assert queues["inbox"]["oldestSeconds"] >= 0
    assert (queues["tasks:special"]["waiting"], queues["tasks:special"]["services"]) == (1, 0)
    assert (queues["tasks:http"]["waiting"], queues["tasks:http"]["services"]) == (0, 1)
    assert found["deadLetters"] == 0
    assert found["timers"] == {"lateSeconds": 0.0}


async def test_the_answer_is_as_described(api, store):
    await store.heartbeat(EXECUTOR)
    found = await api.get("/services")
    document = await api.get("//api/openapi.json")
    described = document["paths"]["/api/v1/services"]["get"]["responses"]["200"]["content"]
    schema = {**described["application/json"]["schema"], "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(found)


async def test_an_unavailable_store_is_reported(api, store):
    await store.close()
    problem = await api.get("/services", 503)
    assert "cannot be reached" in problem["detail"]
