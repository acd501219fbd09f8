"""A list side by side, end to end: real processes, real HTTP, and a worker that is killed in the middle."""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from tests.worker.test_service import deploy, output, start

from unspool.definitions.compile import compile_plan
from unspool.definitions.document import load
from unspool.eventstore.opening import open_store
from unspool.worker.replay import verify

ITEMS, CONCURRENCY = 60, 5

TASKS = """
do:
  - l:
      for: {in: '[range(.of)]'}
      metadata: {unspool: {concurrency: %d}}
      do:
        - c: {call: http, with: {method: post, endpoint: '${ $workflow.input.service }', body: '${ $item }'}}
        - d: {set: '${ {item: $item, got: .} }'}
"""


class Service:
    """Doubles numbers, and counts its requests."""

    def __init__(self) -> None:
        self.asked: Counter[int] = Counter()
        self.keys: set[str] = set()
        self.now = self.most = 0
        self.changed = asyncio.Condition()

    async def handle(self, request: web.Request) -> web.Response:
        number = await request.json()
        self.now += 1
        self.most = max(self.most, self.now)
        async with self.changed:
            self.asked[number] += 1
            self.keys.add(request.headers["Idempotency-Key"])
            self.changed.notify_all()
        await asyncio.sleep(0.02)  # the time that its work takes
        self.now -= 1
        return web.json_response(number * 2)

    async def reached(self, count: int) -> None:
        async with asyncio.timeout(60), self.changed:
            await self.changed.wait_for(lambda: len(self.asked) >= count)


@asynccontextmanager
async def serving(service: Service) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/", service.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def process(role: str, url: str) -> AsyncIterator[asyncio.subprocess.Process]:
    program = Path(sys.executable).with_name("unspool")
    started = await asyncio.create_subprocess_exec(
        program, role, "--store", url, env=dict(os.environ), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.wait()


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
async def test_a_killed_worker_loses_nothing(kind, request, tmp_path, jq):
    on_redis = kind == "redis"
    url = request.getfixturevalue("redis_database") if on_redis else f"sqlite:///{tmp_path}/store.sqlite3"
    store, service = await open_store(url, {}), Service()
    text = await deploy(store, TASKS % CONCURRENCY)
    try:
        async with serving(service) as address, process("executor", url):
            async with process("worker", url) as worker:
                key = await start(store, "e", {"of": ITEMS, "service": address})
                await service.reached(ITEMS // 2)
                worker.kill()
                await worker.wait()
            assert not (await store.execution(key)).status.ended
            async with process("worker", url):
                assert await output(store, key) == [{"item": n, "got": 2 * n} for n in range(ITEMS)]
        assert 1 < service.most <= CONCURRENCY
        assert set(service.asked) == set(range(ITEMS))
        assert len(service.keys) == ITEMS
        history = await store.history(key)
        assert verify(compile_plan(load(text).value, jq), key.id, history) is None
    finally:
        await store.close()
