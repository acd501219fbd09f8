"""Faults at random moments, in a random order that contains each kind equally often."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

from tests.chaos.fleet import Fleet
from tests.conftest import RedisServer

ROUNDS = 3
"""How often each kind of fault happens, at least."""


class RandomFaults:
    """Kills, slow starts, suspensions, graceful restarts; restarts of Redis and cut connections."""

    def __init__(self, fleet: Fleet, server: RedisServer | None, seed: int) -> None:
        self._fleet = fleet
        self._server = server
        self.chance = random.Random(seed)
        self._under_way: set[asyncio.Task[None]] = set()
        self._rounds = ROUNDS
        self._enough = asyncio.Event()

    @asynccontextmanager
    async def happening(self) -> AsyncIterator[None]:
        """Causes faults until the end of the block, and until each kind has happened `ROUNDS` times.

        All processes run again then.
        """
        causing, supervising = asyncio.create_task(self._cause()), asyncio.create_task(self._supervise())
        try:
            yield
            await self._enough.wait()
        finally:
            causing.cancel()
            await asyncio.gather(causing, return_exceptions=True)
            await asyncio.gather(*self._under_way)
            supervising.cancel()
            await asyncio.gather(supervising, return_exceptions=True)
            await self._fleet.all_up()

    async def _supervise(self) -> None:
        while True:
            self._fleet.supervise()
            await asyncio.sleep(0.1)

    async def _cause(self) -> None:
        kinds = [self._kill, self._kill, self._start_slowly, self._pause, self._restart]
        if self._server is not None:
            kinds += [self._cut_connections, self._restart_redis]
        while True:
            for kind in self.chance.sample(kinds, len(kinds)):
                await asyncio.sleep(self.chance.uniform(0.2, 1.0))
                self._fleet.faults[kind.__name__] += 1
                await self._begin(kind)
            self._rounds -= 1
            if self._rounds == 0:
                self._enough.set()

    async def _begin(self, fault: Callable[[], Coroutine[None, None, None]]) -> None:
        """Runs a fault beside the next ones, at most two at a time.

        The fault ends when its process is up again. So services work between faults on a slow machine, too.
        """
        while len(self._under_way) >= 2:
            await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
        task = asyncio.create_task(fault())
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _kill(self) -> None:
        name = self._fleet.pick(self.chance)
        await self._fleet.kill_and_start(name, 0)
        await self._fleet.up(name)

    async def _start_slowly(self) -> None:
        name = self._fleet.pick(self.chance)
        await self._fleet.kill_and_start(name, self.chance.uniform(1, 3))
        await self._fleet.up(name)

    async def _restart(self) -> None:
        name = self._fleet.pick(self.chance)
        await self._fleet.stop_and_start(name)
        await self._fleet.up(name)

    async def _pause(self) -> None:
        """Suspends a process, mostly for longer than the leases."""
        await self._fleet.pause(self._fleet.pick(self.chance), self.chance.uniform(1, 8))

    async def _cut_connections(self) -> None:
        with self._server.admin as admin:
            await asyncio.to_thread(admin.client_kill_filter, _type="normal")

    async def _restart_redis(self) -> None:
        await asyncio.to_thread(self._server.kill)
        await asyncio.to_thread(self._server.start)
