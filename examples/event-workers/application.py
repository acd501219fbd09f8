"""An application beside which workflows run: an API for todos, which publishes events to a Redis stream.

    python examples/event-workers/application.py --redis redis://127.0.0.1:6379/0 --port 8097

A change and its event are one transaction of Redis. So there is no change without its event, and no event
of a change that did not happen. Workflows react to the events and call the API.
"""

import argparse
import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import redis.asyncio
from aiohttp import web

STREAM = "changes"
"""The Redis stream that gets the events."""

LONGEST_STREAM = 10_000
"""Entries of the stream, about; Unspool reads them at once."""


@dataclass
class Application:
    """The handlers of requests. Todos, users and messages are hashes in Redis."""

    client: "redis.asyncio.Redis"

    async def create_todo(self, request: web.Request) -> web.Response:
        """Adds a todo: `{"user": "ada", "title": "…", "due": "2026-01-31"}`."""
        todo = {"id": uuid4().hex, "reminded": False, **await request.json()}
        await self._store("todos", todo["id"], todo, "todos.created")
        return web.json_response(todo, status=201)

    async def update_user(self, request: web.Request) -> web.Response:
        """Changes a user: `{"name": "Ada Lovelace"}`."""
        user = {"id": request.match_info["id"], **await request.json()}
        await self._store("users", user["id"], user, "users.updated")
        return web.json_response(user)

    async def update_todo(self, request: web.Request) -> web.Response:
        """Changes members of a todo. It is not an event, so that workflows do not react to themselves."""
        id_ = request.match_info["id"]
        stored = await self.client.hget("todos", id_)
        if stored is None:
            raise web.HTTPNotFound
        todo = {**json.loads(stored), **await request.json()}
        await self.client.hset("todos", id_, json.dumps(todo))
        return web.json_response(todo)

    async def todos(self, request: web.Request) -> web.Response:
        """Lists todos: `?user=ada`, or `?overdue=true` for those that are due and not reminded of."""
        todos = [json.loads(text) for text in await self.client.hvals("todos")]
        if "user" in request.query:
            todos = [todo for todo in todos if todo["user"] == request.query["user"]]
        if "overdue" in request.query:
            today = datetime.now(UTC).date().isoformat()
            todos = [todo for todo in todos if todo["due"] < today and not todo["reminded"]]
        return web.json_response(todos)

    async def send_message(self, request: web.Request) -> web.Response:
        """Sends a message. A repeated request has the same `Idempotency-Key`, so it sends nothing."""
        key = request.headers.get("Idempotency-Key", uuid4().hex)
        await self.client.hsetnx("messages", key, json.dumps(await request.json()))
        return web.json_response({"sent": True}, status=202)

    async def messages(self, _: web.Request) -> web.Response:
        """Lists the messages that were sent."""
        return web.json_response([json.loads(text) for text in await self.client.hvals("messages")])

    async def _store(self, table: str, id_: str, value: dict[str, Any], event: str) -> None:
        """Stores a value and its event in one transaction."""
        text = json.dumps(value)
        async with self.client.pipeline(transaction=True) as transaction:
            transaction.hset(table, id_, text)
            entry = {"type": event, "source": "/todo-application", "data": text}
            transaction.xadd(STREAM, entry, maxlen=LONGEST_STREAM)
            await transaction.execute()


def create_app(application: Application) -> web.Application:
    """Returns the API."""
    app = web.Application()
    app.add_routes(
        [
            web.post("/todos", application.create_todo),
            web.get("/todos", application.todos),
            web.patch("/todos/{id}", application.update_todo),
            web.put("/users/{id}", application.update_user),
            web.post("/messages", application.send_message),
            web.get("/messages", application.messages),
        ]
    )
    return app


@asynccontextmanager
async def running(url: str, port: int = 0) -> AsyncIterator[str]:
    """Runs the API while the context is open; yields its address."""
    client = redis.asyncio.Redis.from_url(url, decode_responses=True)
    runner = web.AppRunner(create_app(Application(client)))
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        host, bound = runner.addresses[0][:2]
        yield f"http://{host}:{bound}"
    finally:
        await runner.cleanup()
        await client.aclose()


async def _serve(url: str, port: int) -> None:
    async with running(url, port) as address:
        print(address, flush=True)
        await asyncio.Event().wait()


def main() -> None:
    """Runs the application until it is interrupted."""
    parser = argparse.ArgumentParser(description="The application of the example.")
    parser.add_argument("--redis", default="redis://127.0.0.1:6379/0")
    parser.add_argument("--port", type=int, default=8097)
    options = parser.parse_args()
    try:
        asyncio.run(_serve(options.redis, options.port))
    except KeyboardInterrupt:
        print("closed")


if __name__ == "__main__":
    main()
