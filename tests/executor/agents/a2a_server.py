"""An A2A agent made with the official library, on a free port, which it prints.

It speaks 0.3 and 1.0 at `/rpc`. Its cards are `/cards/old` (0.3), `/cards/new` (1.0), `/cards/key` (an API
key is needed) and `/cards/token` (a bearer token is needed). The credential is `open-sesame`.
"""

import asyncio
import os
import socket
from pathlib import Path

import uvicorn
from a2a.helpers.proto_helpers import new_task_from_user_message, new_text_message, new_text_part
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandlerV2
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
from a2a.server.tasks import InMemoryPushNotificationConfigStore, InMemoryTaskStore, TaskUpdater
from a2a.types.a2a_pb2 import (
    AgentCapabilities,
    AgentCard,
    AgentInterface,
    AgentSkill,
    APIKeySecurityScheme,
    HTTPAuthSecurityScheme,
    SecurityScheme,
)
from a2a.utils.errors import UnsupportedOperationError
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount


def write(file: str, text: str) -> None:
    """Writes a file so that a reader sees all of it or nothing."""
    Path(f"{file}.new").write_text(text)
    Path(f"{file}.new").rename(file)


class Agent(AgentExecutor):
    """Does what the text of a message says."""

    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        match context.get_user_input().split():
            case ["hello"]:
                await event_queue.enqueue_event(new_text_message("hello to you"))
            case ["id"]:
                await event_queue.enqueue_event(new_text_message(context.message.message_id))
            case ["work"]:
                updater = await self._begin(context, event_queue)
                await updater.add_artifact([new_text_part("the report")], name="report")
                await updater.complete()
            case ["wait", file]:
                await self._begin(context, event_queue)
                write(file, "started")
                try:
                    await asyncio.sleep(3600)
                except asyncio.CancelledError:
                    write(file, "cancelled")
                    raise
            case ["break"]:
                raise UnsupportedOperationError(message="out of order")

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        await TaskUpdater(event_queue, context.task_id, context.context_id).cancel()

    async def _begin(self, context: RequestContext, event_queue: EventQueue) -> TaskUpdater:
        task = new_task_from_user_message(context.message)
        task.id, task.context_id = context.task_id, context.context_id
        await event_queue.enqueue_event(task)
        updater = TaskUpdater(event_queue, context.task_id, context.context_id)
        await updater.start_work()
        return updater


class Guard:
    """Refuses requests without the credential."""

    def __init__(self, app, header: bytes, value: bytes) -> None:
        self.app = app
        self.header = header
        self.value = value

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "http" and dict(scope["headers"]).get(self.header) != self.value:
            await PlainTextResponse("no", 401)(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def card_of(url: str, version: str, scheme: SecurityScheme | None = None) -> AgentCard:
    return AgentCard(
        name="test",
        description="An agent for tests",
        version="1",
        supported_interfaces=[AgentInterface(url=url, protocol_binding="JSONRPC", protocol_version=version)],
        capabilities=AgentCapabilities(streaming=True, push_notifications=True, extended_agent_card=True),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=[AgentSkill(id="x", name="x", description="x", tags=["x"])],
        security_schemes={} if scheme is None else {"s": scheme},
    )


def main() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    base = f"http://127.0.0.1:{listening.getsockname()[1]}"
    key = SecurityScheme(api_key_security_scheme=APIKeySecurityScheme(location="header", name="X-Key"))
    bearer = SecurityScheme(http_auth_security_scheme=HTTPAuthSecurityScheme(scheme="bearer"))
    old = card_of(f"{base}/rpc", "0.3")
    handler = DefaultRequestHandlerV2(
        agent_executor=Agent(),
        task_store=InMemoryTaskStore(),
        agent_card=old,
        extended_agent_card=old,
        push_config_store=InMemoryPushNotificationConfigStore(),
    )
    rpc = create_jsonrpc_routes(handler, "/rpc", enable_v0_3_compat=True)
    inner = Starlette(routes=rpc)
    cards = {
        "old": old,
        "new": card_of(f"{base}/rpc", "1.0"),
        "key": card_of(f"{base}/key/rpc", "0.3", key),
        "token": card_of(f"{base}/token/rpc", "0.3", bearer),
    }
    routes = [
        route
        for name, card in cards.items()
        for route in create_agent_card_routes(card, card_url=f"/cards/{name}")
    ]
    guarded = [
        Mount("/key", Guard(inner, b"x-key", b"open-sesame")),
        Mount("/token", Guard(inner, b"authorization", b"Bearer open-sesame")),
    ]
    os.write(1, f"{base}\n".encode())
    config = uvicorn.Config(
        Starlette(routes=[*routes, *rpc, *guarded]), log_level="error", timeout_graceful_shutdown=1
    )
    uvicorn.Server(config).run(sockets=[listening])


main()
