"""What the parts of the client share: requests by path, pages, and the names of workflows."""

import asyncio
import random
from collections.abc import AsyncGenerator

from unspool.client.connection import Connection, Parameters, Request, path_of
from unspool.client.records import Json, Workflow


class Requests:
    """Sends the requests of a part of the client."""

    _api: Connection

    async def _get(self, *segments: str, **parameters: int | None) -> Json:
        return await self._api.json(Request("GET", path_of(*segments), parameters, safe=True))

    async def _items(self, *segments: str, **parameters: int | None) -> list[Json]:
        items: list[Json] = (await self._get(*segments, **parameters))["items"]
        return items

    async def _post(self, *segments: str, wait: float | None = None, reason: str | None = None) -> Json:
        parameters: Parameters = {"wait": wait, "reason": reason}
        return await self._api.json(Request("POST", path_of(*segments), parameters, wait=wait or 0.0))

    async def _pages(self, name: str, filters: Parameters) -> AsyncGenerator[Json, None]:
        cursor: str | None = None
        while True:
            page = await self._api.json(
                Request("GET", path_of(name), {**filters, "cursor": cursor}, safe=True)
            )
            for item in page["items"]:
                yield item
            cursor = page["next"]
            if cursor is None:
                return


def named(workflow: str | Workflow) -> Workflow:
    """Reads `NAMESPACE/NAME` or `NAMESPACE/NAME:VERSION`; the version is empty without one.

    Raises:
        ValueError: the text has another form.
    """
    if isinstance(workflow, Workflow):
        return workflow
    path, _, version = workflow.partition(":")
    namespace, slash, name = path.partition("/")
    if not (namespace and slash and name):
        raise ValueError(f"{workflow!r} is not NAMESPACE/NAME or NAMESPACE/NAME:VERSION")
    return Workflow(namespace, name, version)


async def short_pause() -> None:
    """Waits for a random moment, so that many clients do not come back at the same time."""
    await asyncio.sleep(random.uniform(0.05, 0.5))  # noqa: S311 - spreads requests
