"""The Redis adapter over TLS (`rediss://`)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.certificates import Authority
from tests.tcp_proxy import RedisProxy

from unspool.eventstore.errors import StoreUnavailable
from unspool.eventstore.redis.settings import RedisSettings
from unspool.eventstore.redis.store import RedisStore
from unspool.eventstore.results import Outcome

LARGE = "x" * 4_000_000
"""More than the buffers of a socket hold."""


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
async def proxy(authority, redis_server, redis_database) -> AsyncIterator[RedisProxy]:
    proxy = RedisProxy(redis_server.port, authority.context("localhost"))
    await proxy.start()
    yield proxy
    await proxy.stop()


@pytest.fixture
async def store(authority, proxy) -> AsyncIterator[RedisStore]:
    url = f"rediss://localhost:{proxy.port}/0?ssl_ca_certs={authority.file}"
    store = RedisStore(url, RedisSettings())
    await store.open()
    yield store
    await store.close()


async def test_starts_commits_and_tasks_go_through_tls(store, make, hands):
    start = make.start(input=LARGE)
    assert await store.start(start)
    [message] = await hands.messages(store)
    assert message.body.body["input"] == LARGE

    commit = make.commit(start.key, tasks=(make.task(arguments={"body": LARGE}),), acknowledges=(message,))
    assert await store.commit(commit) is Outcome.COMMITTED

    [task] = await hands.tasks(store)
    assert task.body.arguments == {"body": LARGE}
    assert await store.history(start.key) == list(commit.events)


async def test_a_connection_that_was_cut_is_opened_again(store, proxy, make):
    await store.start(make.start())

    proxy.cut()

    record = None
    async with asyncio.timeout(60):
        while record is None:
            with suppress(StoreUnavailable):
                record = await store.execution(make.key())


async def test_a_server_with_an_unknown_certificate_is_refused(proxy, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    url = f"rediss://localhost:{proxy.port}/0?ssl_ca_certs={Authority(other).file}"
    store = RedisStore(url, RedisSettings())

    with pytest.raises(StoreUnavailable, match="certificate verify failed"):
        await store.open()
    await store.close()
