"""The contract of `Operations`, on every store."""

import asyncio
import os
import socket
import time

import orjson
import pytest

from unspool.eventstore.consumers import APIS, EXECUTORS, TIMERS, WORKERS, Capacity, Consumer, Load
from unspool.eventstore.operations import Waiting
from unspool.eventstore.records import Message, MessageKind, TaskRequest, Timer

QUEUES = {"http", "shell"}


def about_now(milliseconds):
    return abs(time.time() * 1000 - milliseconds) < 60_000


async def test_an_empty_store_has_no_backlog(store):
    backlog = await store.backlog(QUEUES)
    assert backlog.inbox == Waiting()
    assert backlog.tasks == {"http": Waiting(), "shell": Waiting()}
    assert backlog.dead_letters == Waiting()
    assert backlog.next_timer_at is None


async def test_messages_wait_until_a_worker_holds_them(store, make):
    for number in range(3):
        await store.start(make.start(make.key(f"e{number}")))
    inbox = (await store.backlog(())).inbox
    assert (inbox.waiting, inbox.held) == (3, 0)
    assert about_now(inbox.oldest_at)

    [first] = await store.receive_messages(make.worker, 1, 1)
    inbox = (await store.backlog(())).inbox
    assert (inbox.waiting, inbox.held) == (2, 1)
    assert about_now(inbox.oldest_at)

    await store.acknowledge([first])
    rest = await store.receive_messages(make.worker, 5, 1)
    while len(rest) < 2:
        rest += await store.receive_messages(make.worker, 5, 1)
    assert (await store.backlog(())).inbox == Waiting(0, 2, None)


async def test_a_delivery_says_when_it_was_queued(store, make):
    await store.start(make.start())
    [message] = await store.receive_messages(make.worker, 1, 1)
    assert about_now(message.queued_at)
    task = TaskRequest("one", "r1", "/do/0/pay", "http", {})
    await store.commit(make.commit(tasks=(task,), acknowledges=(message,)))
    [delivery] = await store.receive_tasks(make.executor, 1, 1)
    assert about_now(delivery.queued_at)
    assert delivery.queued_at >= message.queued_at
    await store.finish_task(delivery, Message(MessageKind.TASK_COMPLETED, "one", {"run": "r1"}))
    [answer] = await store.receive_messages(make.worker, 1, 1)
    assert about_now(answer.queued_at)


async def test_tasks_wait_in_their_queues(store, make):
    await store.start(make.start())
    tasks = tuple(
        TaskRequest("one", f"r{n}", "/do/0/pay", queue, {})
        for n, queue in enumerate(["http", "http", "shell", "http"])
    )
    await store.commit(make.commit(tasks=tasks))
    [held] = await store.receive_tasks(make.executor, 1, 1)
    found = (await store.backlog(QUEUES)).tasks
    assert (found["http"].waiting, found["http"].held) == (2, 1)
    assert (found["shell"].waiting, found["shell"].held) == (1, 0)
    assert about_now(found["shell"].oldest_at)

    await store.move_to_dead_letters(held, "broken", "")
    backlog = await store.backlog(QUEUES)
    assert backlog.dead_letters.waiting == 1
    assert about_now(backlog.dead_letters.oldest_at)
    assert (backlog.tasks["http"].waiting, backlog.tasks["http"].held) == (2, 0)


async def test_tenants_are_summed(store, make):
    for tenant in ("default", "other"):
        await store.start(make.start(make.key(tenant=tenant)))
    assert (await store.backlog(())).inbox.waiting == 2


async def test_the_earliest_timer_is_known(store, make):
    await store.start(make.start())
    await store.start(make.start(make.key("two")))
    await store.commit(make.commit(timers=(Timer("t1", 5_000), Timer("t2", 3_000))))
    await store.commit(make.commit(make.key("two"), timers=(Timer("t1", 4_000),)))
    assert (await store.backlog(())).next_timer_at == 3_000


async def test_consumers_tell_of_themselves(store, other):
    worker, executor = Consumer(WORKERS, "w1"), Consumer(EXECUTORS, "x1", frozenset({"shell", "http"}))
    await store.heartbeat(worker, Load.FULL, Capacity(7, 512))
    await store.heartbeat(executor)
    for role in (TIMERS, APIS):
        await store.heartbeat(Consumer(role, f"{role}-1"))

    found = {each.role: each for each in await other.live_consumers()}

    assert set(found) == {WORKERS, EXECUTORS, TIMERS, APIS}
    assert found[WORKERS][1:5] == ("w1", (), Load.FULL, Capacity(7, 512))
    assert found[EXECUTORS].queues == ("http", "shell")
    assert [found[role].service for role in (WORKERS, EXECUTORS, TIMERS, APIS)] == [
        "worker",
        "executor",
        "timer",
        "api",
    ]
    process = found[WORKERS].process
    assert process is not None
    assert (process.host, process.pid) == (socket.gethostname(), os.getpid())
    assert process.version
    assert 0 < process.started_at <= time.time() * 1000

    await store.deregister(worker)
    assert WORKERS not in {each.role for each in await other.live_consumers()}


async def test_a_consumer_that_died_is_not_shown(store, other):
    dead = Consumer(WORKERS, "dead")
    await store.heartbeat(dead)
    assert [each.name for each in await other.live_consumers()] == ["dead"]
    async with asyncio.timeout(60):
        while await other.live_consumers():
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("adapter", ["redis"], indirect=True)  # on SQLite, columns have defaults
async def test_heartbeats_of_release_0_1_are_read(store):
    heartbeat = orjson.dumps(["abc-1", ["http"], "free"])
    await store._session.call("HSET", "unspool:members:executors", "old", heartbeat)
    [found] = await store.live_consumers()
    assert (found.name, found.queues, found.load, found.process) == ("old", ("http",), Load.FREE, None)


async def test_an_inspection_has_facts(adapter, store):
    facts, findings = await store.inspect()
    assert facts["kind"] == ("redis" if adapter.name == "redis" else "sqlite")
    assert facts["version"]
    assert facts["roundTripSeconds"] >= 0
    must = [finding for finding in findings if finding.must]
    assert not must or must == [finding for finding in must if finding.check == "disk"]
