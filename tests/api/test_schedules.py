"""Schedules over HTTP. A real worker and timer service run them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from unspool.definitions.expressions import JqPool
from unspool.eventstore.port import EventStore
from unspool.timer_service import TimerService, TimerSettings
from unspool.worker.service import WorkerService
from unspool.worker.settings import WorkerSettings

REPORT = """\
document: {dsl: '1.0.3', namespace: shop, name: report, version: '1.0.0'}
schedule: {after: PT1H, cron: '@yearly'}
do: [{a: {set: {x: 1}}}]
"""


@pytest.fixture
async def services(store: EventStore, jq: JqPool) -> AsyncIterator[None]:
    worker, timer = WorkerService(store, jq, WorkerSettings(), "w"), TimerService(store, TimerSettings())
    async with asyncio.TaskGroup() as group:
        group.create_task(worker.run())
        group.create_task(timer.run())
        yield
        worker.stop()
        timer.stop()


async def items(api: Any, holds: Callable[[list[Any]], bool] = bool) -> list[Any]:
    """Returns the schedules, as soon as a condition holds."""
    async with asyncio.timeout(60):
        while True:
            body = await api.get("/schedules")
            assert body.keys() == {"items"}
            if holds(body["items"]):
                found: list[Any] = body["items"]
                return found
            await asyncio.sleep(0.01)


async def test_a_deployed_schedule_is_listed_and_runs(api, services):
    assert await api.get("/schedules") == {"items": []}
    await api.deploy(REPORT)
    [schedule] = await items(api, lambda found: found[0]["lastExecution"] is not None)
    execution = await api.get(f"/executions/{schedule['lastExecution']}")
    assert execution["workflow"] == {"namespace": "shop", "name": "report", "version": "1.0.0"}
    assert (execution["input"], execution["parent"]) == ({}, None)
    last, following = schedule.pop("last"), schedule.pop("next")
    assert schedule == {
        "id": "shop.report",
        "workflow": {"namespace": "shop", "name": "report", "version": "1.0.0"},
        "schedule": {"after": "PT1H", "cron": "@yearly"},
        "paused": False,
        "lastExecution": execution["id"],
        "missed": None,
    }
    assert last.endswith("Z")
    assert last < following
    listed = await api.get("/executions")
    assert [item["id"] for item in listed["items"]] == [execution["id"]]


async def test_pause_and_resume(api, services):
    await api.deploy(REPORT)
    await items(api, lambda found: found[0]["next"] is not None)
    paused = await api.post("/schedules/shop.report/pause?wait=60&reason=end%20of%20the%20month", 200)
    assert (paused["id"], paused["paused"], paused["next"]) == ("shop.report", True, None)
    pause = paused["pause"]
    assert (pause["by"], pause["reason"], pause["at"][-1]) == ("anonymous", "end of the month", "Z")
    assert await items(api) == [paused]
    assert await api.post("/schedules/shop.report/pause?wait=60", 200) == paused
    resumed = await api.post("/schedules/shop.report/resume", 202)
    assert resumed["id"] == "shop.report"
    [resumed] = await items(api, lambda found: not found[0]["paused"])
    assert resumed["next"] is not None
    assert "pause" not in resumed


async def test_an_operation_that_no_worker_has_applied_yet_is_accepted(api):
    await api.deploy(REPORT)
    schedule = await api.post("/schedules/shop.report/pause?wait=0.1", 202)
    assert (schedule["paused"], schedule["next"], schedule["last"]) == (False, None, None)


async def test_a_newer_version_without_a_schedule_ends_it(api, services):
    await api.deploy(REPORT)
    await items(api)
    plain = REPORT.replace("1.0.0", "1.1.0").replace("schedule: {after: PT1H, cron: '@yearly'}\n", "")
    await api.deploy(plain)
    await items(api, lambda found: found == [])
    await api.post("/schedules/shop.report/resume", 404)


@pytest.mark.parametrize("id_", ["shop.other", "shop", "$schedule.shop.report", "a.b.c", "..", "x" * 300])
async def test_unknown_schedules(api, id_):
    await api.deploy(REPORT)
    await api.post(f"/schedules/{id_}/pause", 404)
    await api.post(f"/schedules/{id_}/resume", 404)


async def test_schedules_are_not_executions(api, services):
    await api.deploy(REPORT)
    await items(api, lambda found: found[0]["next"] is not None)
    for path in ("", "/events", "/state"):
        await api.get(f"/executions/$schedule.shop.report{path}", 404)
    await api.post("/executions/$schedule.shop.report/cancel", 404)
    await api.post("/workflows/shop/report/executions", 422, json={"id": "$schedule.shop.report"})


async def test_tenants_see_their_own_schedules(api):
    await api.deploy(REPORT)
    assert await api.get("/schedules", headers={"X-Tenant": "other"}) == {"items": []}
    await api.post("/schedules/shop.report/pause", 404, headers={"X-Tenant": "other"})


async def test_a_schedule_that_never_fires_is_not_valid(api):
    problem = await api.deploy(REPORT.replace("'@yearly'", "'0 0 31 2 *'"), expect=422)
    [error] = problem["errors"]
    assert (error["pointer"], error["line"], error["column"]) == ("/schedule/cron", 2, 36)
