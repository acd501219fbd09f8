"""Redis that is killed, cuts connections or loses a reply at chosen moments."""

import asyncio
from collections import Counter

import pytest
from tests.chaos.harness import TENANT, Harness
from tests.conftest import RedisServer
from tests.tcp_proxy import RedisProxy

from unspool.eventstore.records import Message, MessageKind

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.timeout(480),
    pytest.mark.parametrize("server", ["redis"], indirect=True),
]

SERVICES = ("worker-0", "executor-0", "timer-0")


async def test_services_wait_for_redis(harness: Harness, server: RedisServer):
    """It is killed and stays away for longer than the leases. Timers are due and calls end meanwhile."""
    await harness.fleet.start(*SERVICES)
    for key in [*await harness.start("holding", 3), *await harness.start("retrying", 3)]:
        await harness.event(key, "workflow.started")
    await harness.eventually(lambda: len(harness.ledger.arrivals.to("held")) == 3, "calls are not made")
    await asyncio.to_thread(server.kill)
    harness.ledger.gate.set()
    await asyncio.sleep(4)
    assert harness.fleet.died() == [], harness.fleet.logs()
    await asyncio.to_thread(server.start)
    await harness.finish()


async def test_nothing_is_lost_or_done_twice_when_connections_are_cut(harness: Harness, server: RedisServer):
    """All connections are cut ten times a second while tasks, retries and timers are under way."""
    await harness.fleet.start(*SERVICES)
    await harness.start("retrying", 20)
    with server.admin as admin:
        for _ in range(35):
            await asyncio.to_thread(admin.client_kill_filter, _type="normal")
            await asyncio.to_thread(admin.client_kill_filter, _type="pubsub")
            await asyncio.sleep(0.1)
    await harness.finish()


async def test_an_operation_takes_effect_once_when_the_reply_to_its_commit_is_lost(
    harness: Harness, proxy: RedisProxy
):
    """The commit is sent again. The execution is in the same status as before, and could be retried again."""
    await harness.fleet.start("worker-0", url=proxy.url)
    [key] = await harness.start("failing")
    await harness.event(key, "workflow.faulted")
    proxy.lose_the_reply_to(b"workflow.retried")
    await harness.store.send(TENANT, Message(MessageKind.RETRY, key.id, {}))
    await harness.event(key, "workflow.retried")
    await harness.nothing_left()
    await harness.fleet.stop()
    assert proxy.losses == 1
    types = Counter(event.type for event in await harness.store.history(key))
    assert (types["workflow.retried"], types["workflow.faulted"]) == (1, 2)
