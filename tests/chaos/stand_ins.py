"""What executions of the chaos tests use outside: texts, services, files, a stream and a broker.

All of them record what they get.
"""

import hashlib
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web
from tests.chaos.ledger import Arrivals, serving
from tests.executor.asyncapi.conftest import document
from tests.greeter import PROTOS, Greeter, greeter

STREAM = "chaos:events"
"""The stream whose entries executors publish (`UNSPOOL_EVENTS_STREAM`)."""

INPUT_SCHEMA = {"type": "object", "required": ["count"]}

OPENAPI = {
    "openapi": "3.1.0",
    "info": {"title": "Bookings", "version": "1.0.0"},
    "servers": [{"url": "/"}],
    "paths": {
        "/operations/{order}": {
            "post": {
                "operationId": "book",
                "parameters": [
                    {"name": "order", "in": "path", "required": True, "schema": {"type": "string"}}
                ],
                "responses": {"201": {"description": "It is booked."}},
            }
        }
    },
}


@dataclass
class StandIns:
    """All stand-ins; they run inside of `running`."""

    folder: Path
    """Where processes write their effects."""
    broker: str
    """URL of the Redis with the channels of AsyncAPI; it never fails."""
    arrivals: Arrivals = field(default_factory=Arrivals)
    """The requests to the services."""
    greeter: Greeter = field(init=False)
    """The service of gRPC."""
    address: str = ""
    """Of the services over HTTP."""
    texts: set[str] = field(default_factory=set)
    """The SHA-256 of each text that was served."""
    _numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    @asynccontextmanager
    async def running(self) -> AsyncIterator["StandIns"]:
        """Runs the services."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/texts/{path:.+}", self._text),
                web.get("/protos/{path:.+}", self._proto),
                web.get("/channels/{execution}.json", self._channel),
                web.post("/functions/{order}", self._book),
                web.post("/operations/{order}", self._book),
            ]
        )
        async with serving(app, self.arrivals) as self.address, greeter() as self.greeter:
            yield self

    def file(self, kind: str) -> Path:
        """The file where commands or scripts write the ids of their executions."""
        return self.folder / f"effects-of-{kind}"

    def written(self, kind: str) -> list[str]:
        """The ids that are in the file."""
        file = self.file(kind)
        return file.read_text().splitlines() if file.exists() else []

    async def _text(self, request: web.Request) -> web.Response:
        """A function, a schema or a document: another text for each request."""
        number = next(self._numbers)
        name = request.match_info["path"].rpartition("/")[2]
        match name:
            case "function.yaml":
                text = f"set: '${{ {number} }}'\n"
            case "input.json":
                text = json.dumps({**INPUT_SCHEMA, "title": f"Input {number}"})
            case _:
                text = json.dumps({**OPENAPI, "x-number": number})
        self.texts.add(hashlib.sha256(text.encode()).hexdigest())
        return web.Response(text=text)

    async def _proto(self, request: web.Request) -> web.StreamResponse:
        return web.FileResponse(PROTOS / "app" / request.match_info["path"])

    async def _channel(self, request: web.Request) -> web.Response:
        """The document with the channel of one execution."""
        stream = channel_of(request.match_info["execution"])
        described = document(
            self.broker, address=stream, channel={"bindings": {"redis": {"x-type": "stream"}}}
        )
        described["operations"] = {"hear": {"action": "receive", "channel": {"$ref": "#/channels/one"}}}
        return web.json_response(described)

    async def _book(self, request: web.Request) -> web.Response:
        return web.json_response({"booked": request.match_info["order"]}, status=201)


def channel_of(execution: str) -> str:
    """The stream at the broker that an execution subscribes to."""
    return f"chaos:messages:{execution}"
