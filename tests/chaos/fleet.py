"""Workers, executors and timer services as real processes on one store."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]

SETTINGS = {
    "UNSPOOL_WORKER_LEASE_SECONDS": "3",
    "UNSPOOL_EXECUTOR_LEASE_SECONDS": "3",
    "UNSPOOL_EXECUTOR_STOP_GRACE_SECONDS": "0.5",
    "UNSPOOL_SNAPSHOT_EVERY": "8",
    "UNSPOOL_JQ_SECONDS": "30",
    "UNSPOOL_SCHEDULE_MISSED": "all",
    "UNSPOOL_ALLOW": "shell,script",
    "UNSPOOL_FUNCTIONS": str(Path(__file__).with_name("booking.py")),
    "UNSPOOL_RESOURCE_CACHE_SECONDS": "0",
}
"""Leases end, tasks are released and snapshots are used within a short run. No occurrence may be left out.

Each execution fetches texts of its own.
"""


NO_STORE = 5
"""The exit code of a service that cannot reach the store when it starts; its supervisor starts it again."""


@dataclass
class Fleet:
    """Processes by name, such as `worker-0`."""

    url: str
    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    """Settings besides `SETTINGS`."""
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    starts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    _busy: set[str] = field(default_factory=set)

    async def start(self, *names: str, url: str | None = None) -> None:
        """Starts processes and waits until all are up."""
        for name in names:
            self._spawn(name, url)
        await self._until_up(names)

    async def stop(self, *names: str) -> None:
        """Stops processes gracefully, all of them by default, and forgets them."""
        stopped = {name: self.processes.pop(name) for name in names or tuple(self.processes)}
        for process in stopped.values():
            process.terminate()
        codes = {
            name: await asyncio.to_thread(process.wait, timeout=120) for name, process in stopped.items()
        }
        assert set(codes.values()) <= {0}, f"{codes}\n{self.logs()}"

    async def kill(self, name: str) -> None:
        """Kills a process, as the out-of-memory killer does; it is not started again."""
        process = self.processes.pop(name)
        process.kill()
        await asyncio.to_thread(process.wait)

    async def suspend(self, name: str, blocks: Callable[[], bool]) -> None:
        """Suspends a process until `resume`, while it does not block the store."""
        while True:
            self.processes[name].send_signal(signal.SIGSTOP)
            if not await asyncio.to_thread(blocks):
                return
            self.resume(name)
            await asyncio.sleep(0.005)

    def resume(self, name: str) -> None:
        """Continues a suspended process."""
        self.processes[name].send_signal(signal.SIGCONT)

    def pick(self, chance: random.Random) -> str:
        """Returns a process that has no fault at present."""
        return chance.choice([name for name in self.processes if name not in self._busy])

    async def kill_and_start(self, name: str, seconds: float) -> None:
        """Kills a process; a supervisor starts it again after some seconds."""
        await self._replace(name, signal.SIGKILL, seconds)

    async def stop_and_start(self, name: str) -> None:
        """Stops a process gracefully and starts it again."""
        await self._replace(name, signal.SIGTERM, 0)

    async def pause(self, name: str, seconds: float) -> None:
        """Suspends a process for some seconds, as a suspended machine or a long swap does."""
        with self._exclusively(name):
            self.processes[name].send_signal(signal.SIGSTOP)
            try:
                await asyncio.sleep(seconds)
            finally:
                self.resume(name)

    async def up(self, name: str) -> None:
        """Waits until a process is up that was started again."""
        await self._until_up([name])

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

    def _spawn(self, name: str, url: str | None = None) -> None:
        role = name.split("-", maxsplit=1)[0]
        command = [sys.executable, "-m", "unspool.cli", role, "--store", url or self.url]
        self.starts[name] += 1
        with self._log(name).open("wb") as log:
            self.processes[name] = subprocess.Popen(
                command, cwd=ROOT, stdout=log, stderr=log, env={**os.environ, **SETTINGS, **self.settings}
            )

    def supervise(self) -> None:
        """Starts the processes again that could not reach the store when they started."""
        for name, process in tuple(self.processes.items()):
            if name not in self._busy and process.poll() == NO_STORE:
                self._spawn(name)

    def died(self) -> list[str]:
        """Returns the processes that ended without a fault."""
        return [name for name, process in self.processes.items() if process.poll() is not None]

    async def all_up(self) -> None:
        """Waits until all processes are up."""
        await self._until_up(self.processes)

    async def _until_up(self, names: Collection[str]) -> None:
        deadline = time.monotonic() + 90  # seven processes start at once
        while not all(self._is_up(name) for name in names):
            assert time.monotonic() < deadline, self.logs()
            self.supervise()
            await asyncio.sleep(0.02)

    def end(self) -> None:
        """Kills the processes that still run."""
        for process in self.processes.values():
            process.kill()
            process.wait()

    def _is_up(self, name: str) -> bool:
        return "is up" in self._log(name).read_text()

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}-{self.starts[name]}.log"

    def logs(self) -> str:
        """Returns the last lines of all logs."""
        return "\n".join(path.read_text()[-1500:] for path in sorted(self.folder.glob("*.log")))
