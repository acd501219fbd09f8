"""A real store with a worker and a timer service, and clients of the official library."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from tests.background import served
from tests.client.conftest import HEAR, NAP

from unspool.cli.deployment import deploy_document
from unspool.definitions.document import load
from unspool.definitions.expressions import JqPool
from unspool.eventstore.opening import open_store
from unspool.eventstore.port import EventStore
from unspool.timer_service import TimerService, TimerSettings
from unspool.worker.service import WorkerService
from unspool.worker.settings import WorkerSettings

ORDER = """\
document:
  {dsl: '1.0.3', namespace: shop, name: order, version: '1.0.0', title: Order, summary: Orders a lamp.}
input:
  schema:
    document:
      $schema: http://json-schema.org/draft-07/schema#
      type: object
      properties: {lamp: {type: string}}
      required: [lamp]
do:
  - order: {set: {ordered: '${ .lamp }'}}
"""

ORDER_2 = ORDER.replace("1.0.0", "1.10.0").replace("a lamp", "a better lamp")

COUNT = """\
document: {dsl: '1.0.3', namespace: shop, name: count, version: '1.0.0'}
input: {schema: {document: {type: integer}}}
do:
  - count: {set: '${ {number: .} }'}
"""

REFUSE = """\
document: {dsl: '1.0.3', namespace: shop, name: refuse, version: '1.0.0'}
do:
  - refuse: {raise: {error: {type: 'https://example.com/refused', status: 409}}}
"""


@dataclass
class Agent:
    """A client of the server, as an agent uses it."""

    client: Client
    reports: list[str] = field(default_factory=list)

    async def tools(self) -> dict[str, Any]:
        return {tool.name: tool for tool in (await self.client.list_tools()).tools}

    async def call(self, name: str, arguments: Any = None, *, fails: bool = False) -> str:
        """Calls a tool; returns the first text of its answer."""

        async def report(_progress: float, _total: float | None, message: str | None) -> None:
            self.reports.append(str(message))

        result = await self.client.call_tool(name, arguments or {}, progress_callback=report)
        assert result.is_error is fails, result.content
        text: str = result.content[0].text
        return text

    async def json(self, name: str, arguments: Any = None, *, fails: bool = False) -> Any:
        return json.loads(await self.call(name, arguments, fails=fails))


@pytest.fixture
async def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jq: JqPool) -> AsyncIterator[EventStore]:
    """The store that UNSPOOL_STORE names, with all workflows."""
    url = f"sqlite:///{tmp_path}/store.db"
    monkeypatch.setenv("UNSPOOL_STORE", url)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "none"))
    store = await open_store(url, {})
    for text in (ORDER, ORDER_2, COUNT, REFUSE, NAP, HEAR):
        await deploy_document(store, "default", load(text))
    async with (
        served(WorkerService(store, jq, WorkerSettings(), "w")),
        served(TimerService(store, TimerSettings())),
    ):
        yield store
    await store.close()
