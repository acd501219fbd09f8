"""Texts of external resources: deleted when no stored execution can use them, and never before."""

import asyncio
import logging

import pytest
from tests.monitoring.metrics import Exposition

from unspool.eventstore.events import Event
from unspool.eventstore.monitoring.metric_set import MetricSet
from unspool.eventstore.records import Commit, ExecutionKey, IndexUpdate, Start, Status, WorkflowRef
from unspool.eventstore.texts import sha256_of
from unspool.timer_service import RetentionService, RetentionSettings
from unspool.timer_service.prometheus_metrics import PrometheusRetentionMetrics
from unspool.timer_service.text_retention import delete_unused_texts

DAY = 86_400_000
PAY, SHIP = WorkflowRef("orders", "pay", "1.0.0"), WorkflowRef("orders", "ship", "1.0.0")


class Executions:
    """Executions that use texts."""

    def __init__(self, store):
        self.store = store

    async def started(self, id_, *texts, workflow=PAY, days=0, tenant="default"):
        """Starts one that was created some days ago, and stores texts for it."""
        key = ExecutionKey(tenant, id_)
        created_at = await self.store.now() - days * DAY
        assert await self.store.start(Start(key, workflow, {}, created_at))
        for text in texts:
            await self.store.put_text(key, text)
        return key

    async def end(self, key, days=0):
        """Ends one some days ago."""
        at = await self.store.now() - days * DAY
        index = IndexUpdate(Status.COMPLETED, ended_at=at)
        event = Event(1, "workflow.completed", at, None, "0", {})
        await self.store.commit(
            Commit(key=key, commit_id=f"{key.id}-1", expected_version=0, events=(event,), index=index)
        )
        return key

    async def delete(self, key):
        assert await self.store.drop([await self.store.execution(key)]) == [True]


@pytest.fixture
def executions(store):
    return Executions(store)


async def look(store, times=3):
    """Looks at all texts several times; each look is after the one before."""
    deleted = 0
    for _ in range(times):
        # A text that was looked at is due again only after that time.
        deleted += await delete_unused_texts(store, 0, 60.0)
        before = await store.now()
        while await store.now() <= before:
            await asyncio.sleep(0.001)
    return deleted


async def stored(store, *texts, tenant="default"):
    """Which of some texts are stored."""
    return [text for text in texts if await store.text(tenant, sha256_of(text)) == text]


async def test_the_service_deletes_texts_after_their_executions(store, executions, running, caplog):
    caplog.set_level(logging.INFO)
    metrics = MetricSet()
    old = await executions.started("old", "both", "only the old one", days=40)
    await executions.end(old, days=31)
    await executions.started("new", "both")
    service = RetentionService(
        store, RetentionSettings(interval_seconds=0.1), PrometheusRetentionMetrics(metrics)
    )
    async with running(service), asyncio.timeout(240):
        while await stored(store, "both", "only the old one") != ["both"]:
            await asyncio.sleep(0.02)
        while not Exposition(metrics.exposition()).value("unspool_retention_texts_total"):
            await asyncio.sleep(0.02)

    assert "deleted 1 unused texts" in caplog.text


async def test_a_text_stays_while_an_execution_is_stored_that_may_use_it(store, executions):
    key = await executions.end(await executions.started("one", "text"))
    assert await look(store) == 0

    await executions.delete(key)
    assert await look(store) == 1
    assert await stored(store, "text") == []


async def test_executions_of_other_workflows_times_and_tenants_keep_no_text(store, executions):
    key = await executions.end(await executions.started("one", "text", days=5))
    await executions.started("other-workflow", workflow=SHIP, days=5)
    await executions.started("later")
    await executions.started("before", days=9)
    await executions.started("other-tenant", "text", tenant="other", days=5)
    await executions.delete(key)

    assert await look(store) == 1
    assert await stored(store, "text") == []
    assert await stored(store, "text", tenant="other") == ["text"]


async def test_each_workflow_that_uses_a_text_keeps_it(store, executions):
    pay = await executions.end(await executions.started("pay", "text", days=5))
    ship = await executions.end(await executions.started("ship", "text", workflow=SHIP, days=1))
    await executions.delete(ship)
    assert await look(store) == 0

    await executions.delete(pay)
    assert await look(store) == 1


async def test_many_texts_are_deleted_in_pieces(store, executions):
    key = await executions.started("one", *(f"text {n}" for n in range(120)))
    await executions.delete(await executions.end(key))
    await executions.started("two", "used", workflow=SHIP)

    assert await look(store) == 120
    assert await stored(store, "used") == ["used"]


async def test_no_text_that_an_execution_uses_is_deleted_at_any_moment(store, another_store, executions):
    """Executions use a text and are deleted, while two services look for unused texts without a pause."""

    async def use():
        for n in range(40):
            key = await executions.started(f"e{n}")
            sha256 = await store.put_text(key, "text")
            for _ in range(5):
                assert await store.text("default", sha256) == "text"
                await asyncio.sleep(0)
            await executions.delete(await executions.end(key))

    async def delete(from_store):
        deleted = 0
        while not using.done():
            deleted += await delete_unused_texts(from_store, 0, 60.0)
        return deleted

    using = asyncio.ensure_future(use())
    _, *deleted = await asyncio.gather(using, delete(store), delete(another_store))
    assert sum(deleted) + await look(store) > 0
    assert await stored(store, "text") == []
