"""Services as real processes, and somebody who kills them."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass
class Fleet:
    """Workers, executors and timer services on one store; whoever dies is replaced."""

    url: str
    folder: Path
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    starts: Counter[str] = field(default_factory=Counter)
    kills: int = 0

    def start(self, role: str, count: int) -> None:
        for number in range(count):
            self._spawn(f"{role}-{number}")

    def kill(self, name: str) -> None:
        """As the out-of-memory killer would, and then as a supervisor would."""
        self.processes[name].send_signal(signal.SIGKILL)
        self.processes[name].wait()
        self.kills += 1
        self._spawn(name)

    def _spawn(self, name: str) -> None:
        command = [sys.executable, "-m", "unspool.cli", name.split("-", maxsplit=1)[0], "--store", self.url]
        self.starts[name] += 1
        with self._log(name).open("wb") as log:
            self.processes[name] = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)

    def died(self) -> list[str]:
        """Those that ended though nobody killed them."""
        return [name for name, process in self.processes.items() if process.poll() is not None]

    def stop(self) -> list[int]:
        """Ends all gracefully, once those that were started last are up; their exit codes."""
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


@asynccontextmanager
async def killing(fleet: Fleet, seed: int, *roles: str) -> AsyncIterator[None]:
    """Kills somebody of these roles at random moments, nearly twice a second."""
    chance = random.Random(seed)
    prey = [name for name in fleet.processes if name.split("-")[0] in roles]

    async def kill() -> None:
        while True:
            await asyncio.sleep(chance.uniform(0.2, 1.0))
            fleet.kill(chance.choice(prey))

    task = asyncio.create_task(kill())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def killer() -> Callable[..., object]:
    return killing


@pytest.fixture
def executions() -> int:
    """How many executions a run has: few in the quick form, 1 000 in `make chaos`."""
    return int(os.environ.get("UNSPOOL_CHAOS_EXECUTIONS", "100"))
