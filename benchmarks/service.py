"""One service of the engine as a process: `python -m benchmarks.service worker|executor|timer URL`.

The executor returns the body of a `call: http` immediately: the engine is measured, not HTTP.
"""

import asyncio
import os
import signal
import sys

from unspool.cli.loop import asynchronous
from unspool.definitions.expressions import JqPool
from unspool.eventstore.clock import SystemClock
from unspool.eventstore.opening import open_store
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import TaskRequest
from unspool.eventstore.settings import from_environment
from unspool.executor.outcome import Completed, Outcome
from unspool.executor.service import ExecutorService
from unspool.executor.settings import ExecutorSettings
from unspool.executor.task_context import TaskContext
from unspool.timer_service import TimerService, TimerSettings
from unspool.worker.service import WorkerService
from unspool.worker.settings import WorkerSettings


async def echo(request: TaskRequest, _: TaskContext) -> Outcome:
    return Completed(request.arguments.get("body"))


def service(role: str, store: EventStore) -> WorkerService | ExecutorService | TimerService:
    name = f"{role}-{os.getpid()}"
    if role == "worker":
        return WorkerService(store, JqPool(), from_environment(WorkerSettings, os.environ), name)
    if role == "executor":
        settings = from_environment(ExecutorSettings, os.environ)
        return ExecutorService(store, {"http": echo}, settings, name, SystemClock())
    return TimerService(store, from_environment(TimerSettings, os.environ))


@asynchronous
async def serve(roles: str, url: str) -> None:
    store = await open_store(url, os.environ)
    try:
        services = [service(role, store) for role in roles.split("+")]
        loop = asyncio.get_running_loop()
        for each in services:
            loop.add_signal_handler(signal.SIGTERM, lambda: [each.stop() for each in services])
        await asyncio.gather(*(each.run() for each in services))
    finally:
        await store.close()


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2])
