"""Stores, services and settings of the chaos tests."""

import logging
import os
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.chaos.fleet import Fleet
from tests.chaos.harness import Harness
from tests.chaos.inspection import Inspection, RedisInspection, SqliteInspection
from tests.chaos.ledger import Ledger
from tests.chaos.random_faults import RandomFaults
from tests.chaos.stand_ins import STREAM, StandIns
from tests.conftest import RedisServer
from tests.tcp_proxy import RedisProxy

from unspool.definitions.expressions import JqPool
from unspool.eventstore.opening import open_store

FAULTS = "faults"
"""The property of a test that says how often each kind of fault happened."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Shows how many faults the random faults of all tests were."""
    faults: Counter[str] = Counter()
    for report in terminalreporter.getreports("passed"):
        faults.update(dict(report.user_properties).get(FAULTS, {}))
    if faults:
        counts = ", ".join(f"{kind.strip('_')} {count}" for kind, count in sorted(faults.items()))
        terminalreporter.write_line(f"{faults.total()} random faults: {counts}")


@pytest.fixture(params=["sqlite", "redis"])
def server(request):
    """The Redis server of the run; None for SQLite."""
    return request.getfixturevalue("own_redis") if request.param == "redis" else None


@pytest.fixture
def url(server, tmp_path) -> str:
    return server.url if server is not None else f"sqlite:///{tmp_path}/store.sqlite3"


@pytest.fixture
def inspection(server, tmp_path) -> Inspection:
    return RedisInspection(server) if server is not None else SqliteInspection(tmp_path / "store.sqlite3")


@pytest.fixture
async def proxy(server: RedisServer) -> AsyncIterator[RedisProxy]:
    """A proxy in front of Redis."""
    proxy = RedisProxy(server.port)
    await proxy.start()
    yield proxy
    await proxy.stop()


@pytest.fixture
def fleet(url: str, tmp_path: Path) -> Iterator[Fleet]:
    """Services on the store; none runs yet."""
    fleet = Fleet(url, tmp_path)
    yield fleet
    fleet.end()


@pytest.fixture
async def store(url):
    store = await open_store(url, {})
    yield store
    await store.close()


@pytest.fixture
def jq_for_verification() -> Iterator[JqPool]:
    """Runs the slow expressions of the programs with a long time limit, when histories are verified."""
    with JqPool(seconds=30) as pool:
        yield pool


@pytest.fixture
async def harness(store, fleet, inspection, jq_for_verification) -> AsyncIterator[Harness]:
    """A store, services and a ledger for chosen faults."""
    ledger = Ledger()
    async with ledger.running() as address:
        yield Harness(store, fleet, inspection, ledger, address, jq_for_verification)
        ledger.gate.set()


@pytest.fixture
async def stand_ins(tmp_path: Path, redis_database: str) -> AsyncIterator[StandIns]:
    """What executions use outside."""
    async with StandIns(tmp_path, redis_database).running() as stand_ins:
        yield stand_ins


@pytest.fixture
def stream(server: RedisServer | None, redis_database: str, fleet: Fleet) -> str:
    """URL of the Redis with the stream whose entries executors publish: that of the store, if it has one."""
    url = server.url if server is not None else redis_database
    fleet.settings["UNSPOOL_EVENTS_STREAM"] = f"{url}?stream={STREAM}"
    return url


@pytest.fixture
def executions() -> int:
    """How many executions a run of random faults has: few in the short form, 1 000 in `make chaos`."""
    return int(os.environ.get("UNSPOOL_CHAOS_EXECUTIONS", "100"))


@pytest.fixture
def seconds(executions: int) -> float:
    """How long the executions may take after the last one has started."""
    return float(os.environ.get("UNSPOOL_CHAOS_SECONDS", 60 + executions))


@pytest.fixture
def seed() -> int:
    """Seed of the random faults; a failed test shows it. `UNSPOOL_CHAOS_SEED` repeats it."""
    seed = int(os.environ.get("UNSPOOL_CHAOS_SEED") or random.SystemRandom().randrange(10**6))
    logging.getLogger(__name__).warning("UNSPOOL_CHAOS_SEED=%s", seed)
    return seed


@pytest.fixture
def random_faults(fleet: Fleet, server: RedisServer | None, seed: int) -> RandomFaults:
    """Faults of the services and of Redis; none happens yet."""
    return RandomFaults(fleet, server, seed)
