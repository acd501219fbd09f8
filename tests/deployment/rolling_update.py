"""Replaces services one by one, as Kubernetes does: a new process is ready before an old one stops."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.deployment.processes import Running, answers, kill, start
from tests.ports import free_port

STOP_SECONDS: Final = 30.0
"""`terminationGracePeriodSeconds` in deploy/kubernetes."""


class Balancer:
    """Forwards each new connection to one of the addresses in turn, as a Service of Kubernetes does.

    Connections that are open stay with the process that they lead to.
    """

    def __init__(self) -> None:
        self.ports: list[int] = []
        """Of the processes that are ready."""
        self._turn = itertools.count()
        self._open: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Accepts connections; yields the address."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            for task in self._open:
                task.cancel()
            await asyncio.gather(*self._open, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._forward(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = self.ports[next(self._turn) % len(self.ports)]
        with contextlib.closing(writer), contextlib.suppress(ConnectionError):
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.closing(there_writer):
                await asyncio.gather(_copy(reader, there_writer), _copy(there_reader, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@dataclass
class Service:
    """A service that runs."""

    running: Running
    metrics_port: int
    port: int
    """Of the API; other services do not listen there."""


@dataclass
class Rollout:
    """The services of a deployment on one store."""

    url: str
    folder: Path
    balancer: Balancer
    settings: Mapping[str, str] = field(default_factory=dict)
    services: dict[str, list[Service]] = field(default_factory=dict)
    """By name; the oldest is first."""
    _number: "itertools.count[int]" = field(default_factory=itertools.count)

    async def scale(self, name: str, count: int) -> None:
        """Starts so many processes of a service, and waits until they are ready."""
        self.services[name] = []
        await asyncio.gather(*(self._add(name) for _ in range(count)))

    async def update(self, name: str) -> list[float]:
        """Replaces each process of a service in turn. Returns the seconds that each took to stop."""
        return [await self._replace(name) for _ in tuple(self.services[name])]

    async def stop(self) -> None:
        """Stops everything gracefully."""
        remaining = [service for services in self.services.values() for service in services]
        self.services.clear()
        await asyncio.gather(*(service.running.stop(STOP_SECONDS) for service in remaining))

    async def end(self) -> None:
        """Kills what still runs."""
        await asyncio.gather(*(kill(each.running) for all_ in self.services.values() for each in all_))

    async def _replace(self, name: str) -> float:
        await self._add(name)
        old = self.services[name].pop(0)
        if name == "api":  # no new connections; the pod stops after its preStop
            self.balancer.ports.remove(old.port)
        began = asyncio.get_running_loop().time()
        try:
            await old.running.stop(STOP_SECONDS)
        finally:
            await kill(old.running)
        return asyncio.get_running_loop().time() - began

    async def _add(self, name: str) -> None:
        metrics_port, port = free_port(), free_port()
        settings = {
            "UNSPOOL_STORE": self.url,
            "UNSPOOL_METRICS_PORT": str(metrics_port),
            "UNSPOOL_API_PORT": str(port),
            **self.settings,
        }
        running = await start([name], settings, self.folder / f"{name}-{next(self._number)}.log")
        service = Service(running, metrics_port, port)
        self.services[name].append(service)
        await answers(f"http://127.0.0.1:{metrics_port}/health/ready", running)
        if name == "api":
            self.balancer.ports.append(port)
