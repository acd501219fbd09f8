"""`unspool dev` for tests, and a client of its API."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp


class Server:
    """A client of `unspool dev`."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def start(self, name: str, **members: Any) -> str:
        path = f"/api/v1/workflows/examples/{name}/executions"
        async with self._session.post(path, json={"input": members}) as answer:
            return str((await answer.json())["id"])

    async def execution(self, id_: str) -> Any:
        async with self._session.get(f"/api/v1/executions/{id_}") as answer:
            return await answer.json()

    async def reaches(self, id_: str, status: str) -> Any:
        async with asyncio.timeout(120):
            while (found := await self.execution(id_))["status"] != status:
                await asyncio.sleep(0.02)
        return found

    async def has_event(self, id_: str, type_: str) -> None:
        """Waits until the history of an execution has an event of a type."""
        types: set[str] = set()
        async with asyncio.timeout(120):
            while type_ not in types:
                async with self._session.get(f"/api/v1/executions/{id_}/events?limit=1000") as answer:
                    types = {event["type"] for event in (await answer.json())["items"]}

    async def executions(self, name: str, status: str = "", namespace: str = "examples") -> list[Any]:
        """Returns the executions of an example, with this status if one is given."""
        query = {"workflow": f"{namespace}/{name}", **({"status": status} if status else {})}
        async with self._session.get("/api/v1/executions", params=query) as answer:
            assert answer.status == 200
            return list((await answer.json())["items"])

    async def has_begun(self, schedule: str) -> None:
        """Waits until a schedule listens and counts. To resume it changes nothing."""
        async with self._session.post(f"/api/v1/schedules/{schedule}/resume?wait=60") as answer:
            assert answer.status == 200

    async def call_webhook(self, name: str, body: Any, token: str) -> int:
        """Sends a body to a webhook with a bearer token; returns the status of the answer."""
        headers = {"Authorization": f"Bearer {token}"}
        async with self._session.post(f"/api/v1/hooks/{name}", json=body, headers=headers) as answer:
            return answer.status

    async def publish(self, type_: str, **data: Any) -> None:
        event = {"specversion": "1.0", "id": uuid4().hex, "source": "/test", "type": type_, "data": data}
        headers = {"Content-Type": "application/cloudevents+json"}
        async with self._session.post("/api/v1/events", data=json.dumps(event), headers=headers) as answer:
            assert answer.status == 202


Serve = Callable[..., Awaitable[Server]]


@asynccontextmanager
async def running_server(home: Path, files: list[Path], **settings: str) -> AsyncIterator[Server]:
    """Runs `unspool dev` with these definitions while the context is open."""
    program = Path(sys.executable).with_name("unspool")
    process = await asyncio.create_subprocess_exec(
        program,
        "dev",
        *(str(file) for file in files),
        "--port",
        "0",
        env={"HOME": str(home), **settings},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(120):
            address = (await process.stdout.readline()).decode().strip()
        async with aiohttp.ClientSession(address) as session:
            yield Server(session)
    finally:
        process.terminate()
        await process.wait()
