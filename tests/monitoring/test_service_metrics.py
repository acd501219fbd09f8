"""What services count while they run workflows, on every store."""

import asyncio
import time

import pytest
from tests.monitoring.metrics import Exposition

from unspool.cli.node import Node
from unspool.eventstore.monitoring.metric_set import MetricSet
from unspool.eventstore.monitoring.monitor import Monitor
from unspool.eventstore.monitoring.settings import MonitoringSettings
from unspool.eventstore.opening import open_store
from unspool.eventstore.records import Definition, ExecutionKey, Start, Status, WorkflowRef

SHELL = """\
document: {dsl: '1.0.3', namespace: shop, name: %s, version: '1.0.0'}
do:
  - greet: {run: {shell: {command: echo hello}}}
  - nap: {wait: {milliseconds: 20}}
"""
FAULT = """\
document: {dsl: '1.0.3', namespace: shop, name: refuse, version: '1.0.0'}
do:
  - fail: {run: {shell: {command: exit 3}}}
"""


@pytest.fixture
async def store(store_url):
    opened = await open_store(store_url, {})
    yield opened
    await opened.close()


async def run(store, name, text, id_, tenant="default"):
    ref = WorkflowRef("shop", name, "1.0.0")
    await store.put_definition(tenant, Definition(ref, text, 0))
    key = ExecutionKey(tenant, id_)
    await store.start(Start(key, ref, {}, time.time_ns() // 1_000_000))
    async with asyncio.timeout(60):
        while not (record := await store.execution(key)).status.ended:
            await store.wait_for_version(key, record.version, 1)
    return record.status


def node(store, store_url, metrics):
    monitor = Monitor(store, MonitoringSettings(workflows=2, tenants=2), metrics)
    return Node(store, store_url, environment={}, allow="shell", monitor=monitor)


async def settled(metrics):
    """The metrics once the worker has ended its work: an execution ends a moment before it is counted."""
    async with asyncio.timeout(60):
        while (found := Exposition(metrics.exposition())).value("unspool_worker_messages_held"):
            await asyncio.sleep(0.01)
    return found


async def test_services_count_what_they_do(store, store_url):
    metrics = MetricSet()
    async with node(store, store_url, metrics):
        for number in range(3):
            assert await run(store, "greet", SHELL % "greet", f"e{number}") is Status.COMPLETED
        assert await run(store, "refuse", FAULT, "f") is Status.FAULTED
        found = await settled(metrics)

    assert found.value("unspool_executions_started_total", workflow="shop/greet") == 3
    assert found.value("unspool_executions_ended_total", workflow="shop/greet", status="completed") == 3
    assert found.value("unspool_executions_ended_total", workflow="shop/refuse", status="faulted") == 1
    assert found.value("unspool_tasks_total", kind="shell", outcome="completed") == 3
    assert found.value("unspool_tasks_total", kind="shell", outcome="faulted") == 1
    assert found.value("unspool_task_seconds_count", kind="shell") == 4
    assert found.value("unspool_timer_fired_total") == 3
    assert found.value("unspool_timer_late_seconds_count") >= 1
    # A start, a result and, of three executions, a timer.
    assert found.value("unspool_worker_messages_total") >= 4 + 4 + 3
    assert found.value("unspool_worker_commits_total", outcome="committed") >= 4 + 4 + 3
    assert found.value("unspool_worker_first_decision_seconds_count") == 4
    for name in ("message_wait", "decision", "commit"):
        assert found.value(f"unspool_worker_{name}_seconds_count") >= 1
    assert found.value("unspool_executor_task_wait_seconds_count") >= 1
    assert found.value("unspool_worker_cache_requests_total", cache="states", result="hit") >= 1
    assert found.value("unspool_worker_cache_requests_total", cache="definitions", result="miss") >= 2
    assert found.value("unspool_executor_slots") == 64
    assert found.value("unspool_worker_messages_held") == 0


async def test_a_wait_in_the_queue_is_measured(store, store_url):
    ref = WorkflowRef("shop", "greet", "1.0.0")
    await store.put_definition("default", Definition(ref, SHELL % "greet", 0))
    await store.start(Start(ExecutionKey("default", "early"), ref, {}, 0))
    await asyncio.sleep(0.6)  # the message has waited for this time at least
    metrics = MetricSet()
    async with node(store, store_url, metrics):
        await run(store, "other", SHELL % "other", "late")
        found = await settled(metrics)

    assert found.value("unspool_worker_message_wait_seconds_sum") >= 0.6
    assert found.value("unspool_worker_first_decision_seconds_sum") >= 0.6


async def test_workflows_beyond_a_number_are_counted_together(store, store_url):
    metrics = MetricSet()
    async with node(store, store_url, metrics):
        for name in ("a", "b", "c", "d"):
            await run(store, name, SHELL % name, name)
        found = await settled(metrics)

    names = {labels["workflow"] for labels in found.labels("unspool_executions_started_total")}
    assert names == {"shop/a", "shop/b", "other"}
    assert found.value("unspool_executions_started_total", workflow="other") == 2


async def test_tenants_are_told_apart_up_to_a_number(store, store_url):
    metrics = MetricSet()
    async with node(store, store_url, metrics):
        for tenant in ("default", "other-one", "third"):
            await run(store, "greet", SHELL % "greet", "one", tenant)
        await run(store, "refuse", FAULT, "two", "other-one")
        found = await settled(metrics)

    for tenant, count in (("default", 1), ("other-one", 1), ("other", 1)):
        assert (
            found.value("unspool_tenant_executions_ended_total", tenant=tenant, status="completed") == count
        )
        assert found.value("unspool_tenant_tasks_total", tenant=tenant, outcome="completed") == count
    assert found.value("unspool_tenant_executions_started_total", tenant="other-one") == 2
    assert found.value("unspool_tenant_tasks_total", tenant="other-one", outcome="faulted") == 1
    assert found.value("unspool_executions_ended_total", workflow="shop/greet", status="completed") == 3


async def test_nodes_of_one_process_count_apart(store, store_url):
    first, second = MetricSet(), MetricSet()
    async with node(store, store_url, first):
        await run(store, "greet", SHELL % "greet", "one")
    async with node(store, store_url, second):
        await run(store, "greet", SHELL % "greet", "two")
    for metrics in (first, second):
        found = await settled(metrics)
        assert found.value("unspool_executions_started_total", workflow="shop/greet") == 1
