"""A deployment is done when the schedule listens to its events: an event after it starts an execution."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from tests.conformance.services import services

from unspool.api import workflows

COUNT = 20


def scheduled(number: int) -> dict[str, Any]:
    return {
        "document": {"dsl": "1.0.3", "namespace": "shop", "name": f"w{number}", "version": "1.0.0"},
        "schedule": {"on": {"one": {"with": {"type": f"paid.{number}"}}}},
        "do": [{"a": {"set": "${ .[0] }"}}],
    }


async def deploy_and_publish(session: aiohttp.ClientSession, number: int) -> None:
    async with session.post("/api/v1/workflows", json=scheduled(number)) as answer:
        assert answer.status == 201
    event = {
        "specversion": "1.0",
        "id": "1",
        "source": f"/{number}",
        "type": f"paid.{number}",
        "data": number,
    }
    headers = {"Content-Type": "application/cloudevents+json"}
    async with session.post("/api/v1/events", data=json.dumps(event), headers=headers) as answer:
        assert answer.status == 202


async def outputs(session: aiohttp.ClientSession) -> list[int]:
    async with session.get("/api/v1/executions?status=completed&limit=100") as answer:
        found = [each["id"] for each in (await answer.json())["items"]]
    results = []
    for id_ in found:
        async with session.get(f"/api/v1/executions/{id_}") as answer:
            results.append((await answer.json())["output"])
    return sorted(results)


async def test_an_event_at_once_after_a_deployment_starts_an_execution(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workflows, "LISTENING_WITHIN", 60.0)  # a busy machine may need longer than 5 s
    async with services(store_url) as running:
        session = running.session
        await asyncio.gather(*(deploy_and_publish(session, number) for number in range(COUNT)))
        async with asyncio.timeout(60):
            while await outputs(session) != list(range(COUNT)):
                await asyncio.sleep(0.05)
