"""Runs cases through the HTTP API, with worker, executor and timers on a real store."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import aiohttp
from tests.conformance.case import ALLOWED, CATALOG, PROTOS, Case, Step
from tests.conformance.container_engine import container_engine
from tests.conformance.outcome import REFUSED, Outcome, event_text

from unspool.cli.node import Node
from unspool.cli.serving import serve_api
from unspool.eventstore.opening import open_store

SECONDS = 60


@dataclass
class ServicesEngine:
    """A client of the API of a node."""

    session: aiohttp.ClientSession
    environment: MutableMapping[str, str]
    """The node's environment, where its executor finds secrets."""

    async def run(self, case: Case) -> Outcome:
        self.environment.update(case.secrets)
        client = _Client(self.session, case.name)
        try:
            async with asyncio.timeout(SECONDS * 2):
                return await client.run(case)
        finally:
            for name in case.secrets:
                del self.environment[name]


@asynccontextmanager
async def services(url: str) -> AsyncIterator[ServicesEngine]:
    """Runs API, worker, executor and timers on a store."""
    async with container_engine() as containers:
        environment = {
            "UNSPOOL_CATALOG": str(CATALOG),
            "UNSPOOL_SECRETS_SHARED": "true",  # each case has a tenant
            "UNSPOOL_RESOURCES_DIR": str(PROTOS),
            "UNSPOOL_CONTAINER_HOST": containers,
        }
        async with _services(url, environment) as running:
            yield running


@asynccontextmanager
async def _services(url: str, environment: dict[str, str]) -> AsyncIterator[ServicesEngine]:
    stop = asyncio.Event()
    up: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    store = await open_store(url, {"UNSPOOL_SHARDS": "2"})  # a reader reads those of all tenants
    try:
        async with Node(store, url, environment=environment, allow=ALLOWED), asyncio.TaskGroup() as group:
            group.create_task(serve_api(store, stop, port=0, up=up.set_result))
            async with aiohttp.ClientSession(await up) as session:
                yield ServicesEngine(session, environment)
            stop.set()
    finally:
        await store.close()


@dataclass
class _Client:
    session: aiohttp.ClientSession
    execution: str

    async def run(self, case: Case) -> Outcome:
        for text in case.workflows:
            status, answer = await self._deploy(text)
            assert status == 201, answer
        status, deployed = await self._deploy(case.definition)
        if status == 422:
            return Outcome(REFUSED, problems=deployed["errors"])
        assert status == 201, deployed
        if case.published:
            return await self._scheduled(case, deployed)
        start = f"/workflows/{deployed['namespace']}/{deployed['name']}/executions"
        body = {"id": self.execution, "input": case.input}
        failed: Sequence[str] = []
        if case.steps:
            await self._call(202, "POST", start, json=body)
            failed = await self._perform(case.steps)
        execution = await self._call(200, "POST", f"{start}?wait={SECONDS}", json=body)
        return Outcome(
            status=execution["status"],
            output=execution.get("output"),
            error=execution.get("error"),
            events=await self._events(),
            elapsed=_milliseconds(execution["startedAt"], execution["endedAt"]),
            failed_steps=failed,
        )

    async def _scheduled(self, case: Case, deployed: dict[str, Any]) -> Outcome:
        """Publishes the events of a case, and waits for as many executions as it expects."""
        workflow = f"{deployed['namespace']}/{deployed['name']}"
        schedule = workflow.replace("/", ".")
        # It changes nothing, but is answered when a worker has begun the schedule.
        await self._call(200, "POST", f"/schedules/{schedule}/resume?wait={SECONDS}")
        await self._publish(case.published)
        deadline = time.monotonic() + SECONDS
        while True:
            page = await self._call(200, "GET", f"/executions?workflow={workflow}&limit=100")
            executions = [await self._call(200, "GET", f"/executions/{e['id']}") for e in page["items"]]
            ended = all(each["endedAt"] for each in executions)
            if (ended and len(executions) >= len(case.members["outputs"])) or time.monotonic() > deadline:
                break
            await asyncio.sleep(0.01)
        faulted = [each for each in executions if each["status"] != "completed"]
        return Outcome(
            faulted[0]["status"] if faulted else "completed",
            error=faulted[0].get("error") if faulted else None,
            outputs=[each.get("output") for each in executions],
        )

    async def _publish(self, events: Sequence[Mapping[str, Any]]) -> None:
        headers = {"Content-Type": "application/cloudevents-batch+json"}
        await self._call(202, "POST", "/events", json=list(events), headers=headers)

    async def _deploy(self, text: str) -> tuple[int, Any]:
        return await self._request(
            "POST", "/workflows", data=text.encode(), headers={"Content-Type": "application/yaml"}
        )

    async def _perform(self, steps: Sequence[Step]) -> list[str]:
        failed, seen = [], 0
        for step in steps:
            deadline = time.monotonic() + SECONDS
            while step.when not in (events := await self._events())[seen:]:
                if time.monotonic() > deadline:
                    return [*failed, f"no event {step.when!r} in {events}"]
                await asyncio.sleep(0.01)
            seen = events.index(step.when, seen) + 1
            phase = (await self._call(200, "GET", f"/executions/{self.execution}"))["status"]
            if step.status not in {None, phase}:
                failed.append(f"status after {step.when!r}: {phase}")
            if step.publish:
                await self._publish(step.publish)
            if step.do is not None:
                await self._call(200, "POST", f"/executions/{self.execution}/{step.do}?wait={SECONDS}")
        return failed

    async def _events(self) -> list[str]:
        found: list[str] = []
        after: int | None = 0
        while after is not None:
            page = await self._call(200, "GET", f"/executions/{self.execution}/events?after={after}")
            found += [event_text(event["type"], event.get("task")) for event in page["items"]]
            after = page["next"]
        return found

    async def _call(self, expected: int, method: str, path: str, **body: Any) -> Any:
        status, answer = await self._request(method, path, **body)
        assert status == expected, (method, path, status, answer)
        return answer

    async def _request(self, method: str, path: str, **body: Any) -> tuple[int, Any]:
        # A case has a tenant of its own, so that it gets no events of others.
        headers = {"X-Tenant": f"case-{self.execution}", **body.pop("headers", {})}
        async with self.session.request(method, f"/api/v1{path}", headers=headers, **body) as response:
            return response.status, await response.json(content_type=None)


def _milliseconds(start: str, end: str) -> int:
    return round((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() * 1000)
