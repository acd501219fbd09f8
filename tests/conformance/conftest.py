"""The engines that run the cases. Each starts once for the module."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.conformance.case import ALLOWED, CATALOG, PROTOS, Case
from tests.conformance.container_engine import container_engine
from tests.conformance.memory import MemoryEngine
from tests.conformance.services import ServicesEngine, services
from tests.conftest import RedisServer

from unspool.definitions.expressions import JqPool
from unspool.executor.handlers import default_handlers
from unspool.executor.secrets import LocalSecrets
from unspool.executor.settings import ExecutorSettings


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out the engines that a case does not run on."""
    left_out = [item for item in items if _is_left_out(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def _is_left_out(item: pytest.Item) -> bool:
    parameters = getattr(item, "callspec", None) and item.callspec.params
    case = parameters and parameters.get("case")
    if not isinstance(case, Case):  # a test without cases has a placeholder
        return False
    in_memory = parameters["engine"] == "memory"
    return bool(case.on_stores if in_memory else case.virtual_time)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["memory", "sqlite", "redis"])
async def engine(request: pytest.FixtureRequest, jq: JqPool) -> AsyncIterator[MemoryEngine | ServicesEngine]:
    """Runs cases in memory, or through the services on SQLite or Redis."""
    if request.param == "memory":
        environment: dict[str, str] = {}
        async with (
            container_engine() as containers,
            default_handlers(
                ExecutorSettings(
                    allow=ALLOWED, catalog=str(CATALOG), resources_dir=str(PROTOS), container_host=containers
                ),
                jq=jq,
                secrets=LocalSecrets(environment, ""),
            ) as handlers,
        ):
            yield MemoryEngine(jq, handlers, environment)
        return
    url = "sqlite://"
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        with server.admin as admin:
            admin.flushall()
        url = server.url
    async with services(url) as running:
        yield running
