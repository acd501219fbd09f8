"""Services as real processes, and the faults that happen to them."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.conftest import RedisServer

ROOT = Path(__file__).parents[2]

SHORT_LEASES = {
    "UNSPOOL_WORKER_LEASE_SECONDS": "3",
    "UNSPOOL_EXECUTOR_LEASE_SECONDS": "5",
    "UNSPOOL_SNAPSHOT_EVERY": "8",
}
"""So that leases end and snapshots are used within a short run."""

ROUNDS = 3
"""How often each kind of fault happens, at least."""


@dataclass
class Fleet:
    """Workers, executors and timer services on one store. A process that is killed is started again."""

    url: str
    folder: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    starts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    _busy: set[str] = field(default_factory=set)

    def start(self, role: str, count: int) -> None:
        for number in range(count):
            self._spawn(f"{role}-{number}")

    def pick(self, chance: random.Random) -> str:
        """A process that no fault is happening to."""
        return chance.choice([name for name in self.processes if name not in self._busy])

    async def kill(self, name: str, seconds: float) -> None:
        """Kills a process as the out-of-memory killer does; a supervisor starts it again after a time."""
        await self._replace(name, signal.SIGKILL, seconds)

    async def restart(self, name: str, seconds: float) -> None:
        """Stops a process gracefully and starts it again after a time."""
        await self._replace(name, signal.SIGTERM, seconds)

    async def pause(self, name: str, seconds: float) -> None:
        """Stops a process for a time, as a suspended machine or a long swap does."""
        with self._exclusively(name):
            self.processes[name].send_signal(signal.SIGSTOP)
            try:
                await asyncio.sleep(seconds)
            finally:
                self.processes[name].send_signal(signal.SIGCONT)

    async def _replace(self, name: str, how: signal.Signals, seconds: float) -> None:
        with self._exclusively(name):
            self.processes[name].send_signal(how)
            try:
                await asyncio.to_thread(self.processes[name].wait)
                await asyncio.sleep(seconds)
            finally:
                self._spawn(name)

    @contextmanager
    def _exclusively(self, name: str) -> Iterator[None]:
        self._busy.add(name)
        try:
            yield
        finally:
            self._busy.remove(name)

    def _spawn(self, name: str) -> None:
        command = [sys.executable, "-m", "unspool.cli", name.split("-", maxsplit=1)[0], "--store", self.url]
        self.starts[name] += 1
        with self._log(name).open("wb") as log:
            self.processes[name] = subprocess.Popen(
                command, cwd=ROOT, stdout=log, stderr=log, env={**os.environ, **SHORT_LEASES}
            )

    def died(self) -> list[str]:
        """The processes that ended without a fault."""
        return [name for name, process in self.processes.items() if process.poll() is not None]

    def stop(self) -> list[int]:
        """Ends all processes gracefully once all are up; returns their exit codes."""
        deadline = time.monotonic() + 30
        while not all(self._is_up(name) for name in self.processes):
            assert time.monotonic() < deadline, self.logs()
            time.sleep(0.05)
        for process in self.processes.values():
            process.terminate()
        return [process.wait(timeout=30) for process in self.processes.values()]

    def _is_up(self, name: str) -> bool:
        return "is up" in self._log(name).read_text()

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}-{self.starts[name]}.log"

    def logs(self) -> str:
        return "\n".join(path.read_text()[-3000:] for path in sorted(self.folder.glob("*.log")))


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Callable[[str], Fleet]]:
    """Makes a fleet on a store."""
    made: list[Fleet] = []

    def make(url: str) -> Fleet:
        made.append(Fleet(url, tmp_path))
        return made[-1]

    yield make
    for each in made:
        for process in each.processes.values():
            process.kill()
            process.wait()


class Faults:
    """Faults at random moments, in a random order that contains each kind equally often."""

    def __init__(self, fleet: Fleet, server: RedisServer | None, seed: int) -> None:
        self._fleet = fleet
        self._server = server
        self._chance = random.Random(seed)
        self._under_way: set[asyncio.Task[None]] = set()
        self._rounds = ROUNDS
        self._enough = asyncio.Event()

    @asynccontextmanager
    async def happening(self) -> AsyncIterator[None]:
        """Until the end of the block, and until each kind has happened `ROUNDS` times.

        All processes run again then.
        """
        causing = asyncio.create_task(self._cause())
        try:
            yield
            await self._enough.wait()
        finally:
            causing.cancel()
            await asyncio.gather(causing, return_exceptions=True)
            await asyncio.gather(*self._under_way)

    async def _cause(self) -> None:
        kinds = [self._kill, self._kill, self._start_slowly, self._pause, self._restart]
        if self._server is not None:
            kinds += [self._cut_connections, self._restart_redis]
        while True:
            for kind in self._chance.sample(kinds, len(kinds)):
                await asyncio.sleep(self._chance.uniform(0.2, 1.0))
                self._fleet.faults[kind.__name__] += 1
                await self._begin(kind)
            self._rounds -= 1
            if self._rounds == 0:
                self._enough.set()

    async def _begin(self, fault: Callable[[], Coroutine[None, None, None]]) -> None:
        """Runs a fault beside the next ones, at most two at a time."""
        while len(self._under_way) >= 2:
            await asyncio.wait(self._under_way, return_when=asyncio.FIRST_COMPLETED)
        task = asyncio.create_task(fault())
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _kill(self) -> None:
        await self._fleet.kill(self._fleet.pick(self._chance), 0)

    async def _start_slowly(self) -> None:
        await self._fleet.kill(self._fleet.pick(self._chance), self._chance.uniform(1, 3))

    async def _restart(self) -> None:
        await self._fleet.restart(self._fleet.pick(self._chance), 0)

    async def _pause(self) -> None:
        """Mostly longer than the leases."""
        await self._fleet.pause(self._fleet.pick(self._chance), self._chance.uniform(1, 8))

    async def _cut_connections(self) -> None:
        with self._server.admin as admin:
            await asyncio.to_thread(admin.client_kill_filter, _type="normal")

    async def _restart_redis(self) -> None:
        await asyncio.to_thread(self._server.kill)
        await asyncio.to_thread(self._server.start)


@pytest.fixture
def faults() -> Callable[..., Faults]:
    return Faults


@pytest.fixture
def executions() -> int:
    """How many executions a run has: few in the short form, 1 000 in `make chaos`."""
    return int(os.environ.get("UNSPOOL_CHAOS_EXECUTIONS", "100"))


@pytest.fixture
def seconds(executions: int) -> float:
    """How long the executions may take after the last one has started."""
    return float(os.environ.get("UNSPOOL_CHAOS_SECONDS", 60 + executions))
