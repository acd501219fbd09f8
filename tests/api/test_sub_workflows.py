"""Operations on a parent reach the sub-workflows that it waits for, on both stores (inventory I63)."""

import asyncio
from typing import Any

from unspool.cli.node import Node
from unspool.eventstore.opening import open_store

HEAD = "document: {dsl: '1.0.3', namespace: test, name: NAME, version: '1.0.0'}\n"
RUN = "run: {await: AWAIT, workflow: {namespace: test, name: NAME}}"


def run(name: str, awaited: str = "true") -> str:
    return RUN.replace("NAME", name).replace("AWAIT", awaited)


DEFINITIONS = {
    "parent": f"do: [{{n: {{{run('alone', 'false')}}}}}, {{b: {{{run('child')}}}}}]",
    "child": f"do: [{{c: {{{run('grandchild')}}}}}]",
    "grandchild": "do: [{w: {wait: PT12S}}, {x: {set: {done: true}}}]",
    "alone": "do: [{w: {wait: PT1H}}]",
}


class Executions:
    """Reads executions until they are as a test expects."""

    def __init__(self, api: Any) -> None:
        self._api = api

    async def types(self, id_: str) -> list[str]:
        """Returns the types of the events of an execution."""
        events = await self._api.get(f"/executions/{id_}/events?limit=1000")
        return [event["type"] for event in events["items"]]

    async def children(self, id_: str, count: int) -> list[str]:
        """Waits until an execution exists and has started so many sub-workflows; returns their ids."""
        async with asyncio.timeout(60):
            while True:
                _, page = await self._api.call("GET", f"/executions/{id_}/events?limit=1000")
                events = page.get("items", ())
                found = [event["data"]["child"] for event in events if event["type"] == "child.started"]
                if len(found) == count:
                    return found
                await asyncio.sleep(0.05)

    async def status(self, id_: str, status: str) -> None:
        """Waits until an execution exists and has a status."""
        async with asyncio.timeout(60):
            while (await self._api.call("GET", f"/executions/{id_}"))[1].get("status") != status:
                await asyncio.sleep(0.05)

    async def event(self, id_: str, type_: str) -> None:
        """Waits until the history of an execution has an event of a type."""
        async with asyncio.timeout(60):
            while type_ not in await self.types(id_):
                await asyncio.sleep(0.05)


async def test_suspend_and_resume(store_url, running_api):
    store = await open_store(store_url, {})
    async with running_api(store) as api, Node(store, store_url):
        executions = Executions(api)
        for name, tasks in DEFINITIONS.items():
            await api.deploy(HEAD.replace("NAME", name) + tasks)
        top = (await api.post("/workflows/test/parent/executions", 202, json={"input": {}}))["id"]
        alone, child = await executions.children(top, 2)
        [grandchild] = await executions.children(child, 1)
        await executions.status(grandchild, "waiting")
        await executions.status(alone, "waiting")

        suspended = await api.post(f"/executions/{top}/suspend?wait=60", 200)
        assert suspended["status"] == "suspended"
        await executions.status(child, "suspended")
        await executions.status(grandchild, "suspended")
        await executions.event(grandchild, "timer.fired")  # its wait is over, and it stays suspended
        assert (await api.get(f"/executions/{grandchild}"))["status"] == "suspended"
        assert (await api.get(f"/executions/{alone}"))["status"] == "waiting"  # it is not awaited

        await api.post(f"/executions/{top}/resume?wait=60", 200)
        await executions.status(top, "completed")
        assert (await api.get(f"/executions/{top}"))["output"] == {"done": True}
        for each in (top, child, grandchild):
            types = await executions.types(each)
            assert types.count("workflow.suspended") == types.count("workflow.resumed") == 1
        assert "workflow.suspended" not in await executions.types(alone)
    await store.close()
