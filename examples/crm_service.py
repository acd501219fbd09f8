"""A CRM that the data sync examples copy: a manifest, pages of rows, copies and checkpoints.

    python examples/crm_service.py --port 8098

It answers 429 to a request for a page that comes too soon after the one before, as real services do.
"""

import argparse
import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

ENTITIES = [
    {"name": "teams"},
    {"name": "users", "requires": ["teams"]},
    {"name": "deals", "requires": ["users"]},
    {"name": "notes", "requires": ["users"], "after": ["files"]},
    {"name": "files"},
]


@dataclass
class Crm:
    """The CRM's data and request handlers."""

    rows: dict[str, int] = field(default_factory=lambda: {str(entity["name"]): 25 for entity in ENTITIES})
    """Number of rows of each entity."""
    entities: list[dict[str, Any]] = field(default_factory=lambda: list(ENTITIES))
    page_size: int = 10
    seconds_between: float = 0.05
    """Least time between two pages of an entity."""
    broken: set[str] = field(default_factory=set)
    """Entities whose pages answer 500."""
    copies: dict[tuple[str, str], dict[int, Any]] = field(default_factory=dict)
    checkpoints: dict[tuple[str, str], str] = field(default_factory=dict)
    pages: Counter[str] = field(default_factory=Counter)
    """Number of pages that were read of each entity."""
    refusing: int = 0
    """How many requests for pages are refused at first, however slowly they come."""
    refused: int = 0
    order: list[str] = field(default_factory=list)
    """Entities in the order of their first pages."""
    _last: dict[str, float] = field(default_factory=dict)

    async def manifest(self, _: web.Request) -> web.Response:
        """Returns the entities with their dependencies."""
        return web.json_response({"entities": self.entities})

    async def page(self, request: web.Request) -> web.Response:
        """Returns the rows after a cursor, and the cursor of the next page."""
        entity, now = request.match_info["entity"], time.monotonic()
        if self.refused < self.refusing or now - self._last.get(entity, 0) < self.seconds_between:
            self.refused += 1
            return web.json_response({"detail": "too many requests"}, status=429)
        self._last[entity] = now
        if entity in self.broken:
            return web.json_response({"detail": f"{entity} cannot be read"}, status=500)
        self.pages[entity] += 1
        if entity not in self.order:
            self.order.append(entity)
        first = int(request.query["cursor"])
        end = min(first + self.page_size, self.rows[entity])
        rows = [{"id": number, "name": f"{entity} {number}"} for number in range(first, end)]
        return web.json_response({"rows": rows, "cursor": str(end), "more": end < self.rows[entity]})

    async def copy(self, request: web.Request) -> web.Response:
        """Stores copied rows; a second request with the same rows has no further effect."""
        copy = self.copies.setdefault((request.match_info["org"], request.match_info["entity"]), {})
        copy.update({row["id"]: row for row in await request.json()})
        return web.json_response({"rows": len(copy)})

    async def checkpoint(self, request: web.Request) -> web.Response:
        """Returns how far the copy of an entity came."""
        place = (request.match_info["org"], request.match_info["entity"])
        return web.json_response({"cursor": self.checkpoints.get(place, "0")})

    async def keep(self, request: web.Request) -> web.Response:
        """Stores how far the copy of an entity came."""
        place = (request.match_info["org"], request.match_info["entity"])
        self.checkpoints[place] = (await request.json())["cursor"]
        return web.Response(status=204)


@asynccontextmanager
async def running_crm(crm: Crm, port: int = 0) -> AsyncIterator[str]:
    """Runs the CRM while the context is open; yields its address."""
    app = web.Application()
    app.add_routes(
        [
            web.get("/manifest", crm.manifest),
            web.get("/entities/{entity}", crm.page),
            web.put("/copies/{org}/{entity}", crm.copy),
            web.get("/checkpoints/{org}/{entity}", crm.checkpoint),
            web.put("/checkpoints/{org}/{entity}", crm.keep),
        ]
    )
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        host, bound = runner.addresses[0][:2]
        yield f"http://{host}:{bound}"
    finally:
        await runner.cleanup()


async def _serve(port: int) -> None:
    async with running_crm(Crm(), port) as address:
        print(f"the CRM is open at {address}; Ctrl-C closes it", flush=True)
        await asyncio.Event().wait()


def main() -> None:
    """Runs the CRM until it is interrupted."""
    parser = argparse.ArgumentParser(description="The CRM of the data sync examples.")
    parser.add_argument("--port", type=int, default=8098)
    try:
        asyncio.run(_serve(parser.parse_args().port))
    except KeyboardInterrupt:
        print("closed")


if __name__ == "__main__":
    main()
