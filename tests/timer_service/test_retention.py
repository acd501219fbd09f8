"""The retention service on every store: it deletes what has ended, and nothing that is needed."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from unspool.eventstore.consumers import Consumer
from unspool.eventstore.events import Event
from unspool.eventstore.idempotency_keys import IdempotencyKey
from unspool.eventstore.listing import ExecutionFilter
from unspool.eventstore.rate_limits import Rate
from unspool.eventstore.records import (
    Commit,
    ExecutionKey,
    IndexUpdate,
    Message,
    MessageKind,
    Start,
    Status,
    WorkflowRef,
)
from unspool.eventstore.settings import BadSetting
from unspool.timer_service import RetentionService, RetentionSettings

_SECOND = Rate(1_000_000)
WORKER = Consumer("workers", "tester")
UNSPOOL = Path(sys.executable).with_name("unspool")
DAY = 86_400_000


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(240):
        while not await condition():
            await asyncio.sleep(0.02)


class Executions:
    """Executions in a store that ended some time ago."""

    def __init__(self, store):
        self.store = store

    async def ended(self, id_, *, days=0.0, status=Status.COMPLETED, name="pay", key=None):
        """Adds one; with an idempotency key if `key` has its value."""
        at = await self.store.now() - int(days * DAY)
        ref, where = WorkflowRef("orders", name, "1.0.0"), ExecutionKey("default", id_)
        assert await self.store.start(Start(where, ref, {}, at, idempotency_key=key))
        if key is not None:
            await self.store.claim_key(IdempotencyKey.of("default", ref, key), id_)
        event = Event(1, "workflow.completed", at, None, "0", {})
        await self.store.commit(
            Commit(
                key=where,
                commit_id=f"{id_}-1",
                expected_version=0,
                events=(event,),
                index=IndexUpdate(status, ended_at=at),
            )
        )

    async def left(self):
        page = await self.store.executions("default", ExecutionFilter(), limit=10_000)
        return {record.key.id for record in page.items}

    async def become(self, *ids):
        """Waits until these are left."""
        async with asyncio.timeout(240):
            while (left := await self.left()) != {*ids}:
                assert left >= {*ids}
                await asyncio.sleep(0.02)


@pytest.fixture
def executions(store):
    return Executions(store)


def service(store, rules):
    return RetentionService(store, RetentionSettings(rules=rules, interval_seconds=0.1))


async def test_what_is_over_its_time_is_deleted(store, executions, running):
    for id_, days, status, name in (
        ("old", 31, Status.COMPLETED, "pay"),
        ("new", 29, Status.COMPLETED, "pay"),
        ("old-fault", 31, Status.FAULTED, "pay"),
        ("oldest-fault", 91, Status.FAULTED, "pay"),
        ("short", 2, Status.COMPLETED, "ship"),
        ("for-ever", 1_000, Status.CANCELLED, "pay"),
    ):
        await executions.ended(id_, days=days, status=status, name=name)
    await store.start(Start(ExecutionKey("default", "pending"), WorkflowRef("orders", "pay", "1.0.0"), {}, 1))

    async with running(service(store, "30d; faulted=90d; orders/ship=1d; cancelled=forever")):
        await executions.become("new", "old-fault", "for-ever", "pending")


async def test_many_that_a_rule_keeps_do_not_stop_the_others(store, executions, running):
    await asyncio.gather(*(executions.ended(f"kept-{n}", days=9) for n in range(250)))
    await executions.ended("other", days=2, name="ship")

    async with running(service(store, "forever; orders/ship=1d")):
        await executions.become(*(f"kept-{n}" for n in range(250)))


async def test_changed_rules_apply_to_those_that_ended_before(store, executions, running):
    await executions.ended("kept", days=3)
    async with running(service(store, "7d; orders/ship=1h")):
        await executions.ended("gone", days=3, name="ship")
        await executions.become("kept")

    # The service of the old rules looks at it again within a day.
    await store.look_again_at({ExecutionKey("default", "kept"): await store.now() - 3 * DAY})
    async with running(service(store, "2d")):
        await executions.become()


async def test_one_with_a_key_loses_it_first(store, executions, running):
    await executions.ended("keyed", days=31, key="a-1")
    await executions.ended("plain", days=31)
    async with running(service(store, "30d")):
        await executions.become("keyed")

    key = IdempotencyKey("default", "orders", "pay", "a-1")
    assert await store.claim_key(key, "another") == "another"
    await store.look_again_at({ExecutionKey("default", "keyed"): 1})
    async with running(service(store, "30d")):
        await executions.become()
    assert await store.claim_key(key, "third") == "another"


async def test_one_with_a_dead_letter_is_kept(store, executions, running):
    await executions.ended("stuck", days=31)
    await store.acknowledge(await store.receive_messages(WORKER, 10, 1))
    await store.send("default", Message(MessageKind.CANCEL, "stuck", {}))
    [delivery] = await store.receive_messages(WORKER, 10, 1)
    letter = await store.move_to_dead_letters(delivery, "bug", "trace")
    await executions.ended("other", days=31)

    async with running(service(store, "30d")):
        await executions.become("stuck")

    await store.discard("default", letter)
    await store.look_again_at({ExecutionKey("default", "stuck"): 1})
    async with running(service(store, "30d")):
        await executions.become()


async def test_old_dead_letters_are_discarded(store, executions, running, caplog):
    await executions.ended("stuck", days=31)
    await store.acknowledge(await store.receive_messages(WORKER, 10, 1))
    await store.send("default", Message(MessageKind.CANCEL, "stuck", {}))
    [delivery] = await store.receive_messages(WORKER, 10, 1)
    letter = await store.move_to_dead_letters(delivery, "bug", "trace")
    settings = RetentionSettings(rules="30d", dead_letters="1s", interval_seconds=0.1)

    async with running(RetentionService(store, settings)), asyncio.timeout(100):
        while f"discarded the dead letter {letter} of execution stuck" not in caplog.text:
            await asyncio.sleep(0.02)
    assert await store.dead_letter("default", letter) is None


def test_a_time_of_dead_letters_that_is_not_valid():
    with pytest.raises(BadSetting, match="UNSPOOL_DEAD_LETTER_RETENTION: '90' is not a time"):
        RetentionSettings(dead_letters="90")


async def test_nothing_is_deleted_with_forever(store, executions, running):
    await executions.ended("old", days=10_000)
    await executions.ended("new", days=0, name="ship")
    async with running(service(store, "forever; orders/ship=0s")):
        await executions.become("old")
    async with running(service(store, "forever")), asyncio.timeout(100):
        while await store.reserve_start("$retention", _SECOND, 0) == 0:  # until the service has begun
            await asyncio.sleep(0.02)
    assert await executions.left() == {"old"}


@pytest.mark.timeout(300)
async def test_a_service_is_killed_and_another_one_continues(store, store_url, executions):
    await asyncio.gather(*(executions.ended(f"e{n}", days=31) for n in range(1_500)))
    await executions.ended("new", days=1)
    await store.acknowledge(await _all_messages(store))
    environment = {**os.environ, "UNSPOOL_RETENTION_INTERVAL": "0.2"}
    command = [str(UNSPOOL), "timer", "--store", store_url]

    async def has_begun() -> bool:
        return len(await executions.left()) < 1_400

    first = await asyncio.create_subprocess_exec(*command, env=environment)
    try:
        await until(has_begun)
        second = await asyncio.create_subprocess_exec(
            *command, env=environment, stderr=asyncio.subprocess.PIPE
        )
    finally:
        first.kill()
        await first.wait()
    try:
        assert b"timer is up" in await second.stderr.readline()
        await executions.become("new")
    finally:
        second.send_signal(signal.SIGTERM)
        await second.communicate()
        assert second.returncode == 0

    assert await store.ended_before(await store.now() - 2 * DAY, 10) == []
    assert await store.history(ExecutionKey("default", "e1")) == []


async def _all_messages(store):
    found = []
    while some := await store.receive_messages(WORKER, 1_000, 0):
        found += some
    return found
