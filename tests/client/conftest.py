"""A real API with a worker and a timer service, on each kind of store, and clients of it."""

from collections.abc import AsyncIterator

import pytest
from tests.api.conftest import Api, run_api
from tests.background import served

from unspool.api.engine import Engine
from unspool.api.settings import ApiSettings
from unspool.client import AsyncClient
from unspool.definitions.expressions import JqPool
from unspool.eventstore.opening import open_store
from unspool.timer_service import TimerService, TimerSettings
from unspool.worker.service import WorkerService
from unspool.worker.settings import WorkerSettings

GREET = """\
document: {dsl: '1.0.3', namespace: shop, name: greet, version: '1.0.0'}
do:
  - hello:
      set: {greeting: '${ "Hello " + .name }'}
"""

REFUSE = """\
document: {dsl: '1.0.3', namespace: shop, name: refuse, version: '1.0.0'}
do:
  - refuse:
      raise: {error: {type: 'https://example.com/refused', status: 409}}
"""

HEAR = """\
document: {dsl: '1.0.3', namespace: shop, name: hear, version: '1.0.0'}
do:
  - payment:
      listen: {to: {one: {with: {type: paid}}}}
"""

NAP = """\
document: {dsl: '1.0.3', namespace: shop, name: nap, version: '1.0.0'}
do:
  - nap: {wait: {hours: 1}}
"""


@pytest.fixture
def settings() -> ApiSettings:
    """Settings of the API: a free port, short heartbeats."""
    return ApiSettings(port=0, heartbeat_seconds=0.2, stop_seconds=5)


@pytest.fixture
async def api(store_url: str, jq: JqPool, settings: ApiSettings) -> AsyncIterator[Api]:
    """The API on an empty store, with services that run executions."""
    store = await open_store(store_url, {})
    async with (
        served(WorkerService(store, jq, WorkerSettings(), "w")),
        served(TimerService(store, TimerSettings())),
        run_api(store, Engine(jq), settings) as running,
    ):
        yield running
    await store.close()


@pytest.fixture
async def client(api: Api) -> AsyncIterator[AsyncClient]:
    """A client of the API, with all workflows deployed."""
    async with AsyncClient(api.url) as client:
        for definition in (GREET, REFUSE, HEAR, NAP):
            await client.deploy(definition)
        yield client
