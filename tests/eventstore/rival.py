"""A process that works on a SQLite file together with others; started by test_sqlite_processes.py.

    rival.py race PATH NAME STEPS     reads a line, then commits to executions until each has STEPS steps
    rival.py hold PATH NAME           takes all messages and then does nothing: it sends no heartbeat
    rival.py write PATH NAME          commits forever and prints each acknowledged commit

The test reads the lines on standard output.
"""

import asyncio
import os
import random
import sys
from pathlib import Path

from unspool.eventstore.consumers import Consumer
from unspool.eventstore.events import Event
from unspool.eventstore.records import (
    Commit,
    Delivery,
    ExecutionKey,
    Message,
    MessageKind,
    Start,
    TaskRequest,
    Timer,
    WorkflowRef,
)
from unspool.eventstore.results import Outcome
from unspool.eventstore.sqlite.settings import SqliteSettings
from unspool.eventstore.sqlite.store import SqliteStore


def say(*words: object) -> None:
    """Prints a line in one write, so that a kill leaves no partial line."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def step(
    key: ExecutionKey, version: int, name: str, cause: tuple[Delivery[Message], ...], goes_on: bool
) -> Commit:
    """Returns a step: two events, a task, a timer and, if `goes_on`, a message to the execution itself."""
    events = tuple(
        Event(seq, "task.completed", 1, "/do/0/step", None, {"by": name})
        for seq in (version + 1, version + 2)
    )
    return Commit(
        key=key,
        commit_id=f"{name}-{version}",
        expected_version=version,
        events=events,
        tasks=(TaskRequest(key.id, f"r{version}", "/do/0/step", "http", {}),),
        timers=(Timer(f"t{version}", 1),),
        messages=(Message(MessageKind.CONTINUE, key.id, {}),) if goes_on else (),
        acknowledges=cause,
    )


async def race(store: SqliteStore, name: str, steps: int) -> None:
    """Commits steps. Also reclaims held messages, so that both processes often work on one execution."""
    consumer = Consumer("workers", name)
    chance = random.Random(name)
    say("ready")
    await asyncio.to_thread(sys.stdin.readline)
    idle = 0
    while idle < 20:
        deliveries = await store.receive_messages(consumer, 5, 0.05)
        if chance.random() < 0.7:
            deliveries += await store.reclaim_messages(consumer, 5, 0.0)
        idle = 0 if deliveries else idle + 1
        outcomes = await asyncio.gather(
            *(commit_next(store, delivery, name, steps, chance) for delivery in deliveries)
        )
        for outcome in outcomes:
            say(outcome)


async def commit_next(
    store: SqliteStore, delivery: Delivery[Message], name: str, steps: int, chance: random.Random
) -> Outcome | str:
    last = await store.last_event(delivery.key)
    version = last.seq if last else 0
    if version == 2 * steps:
        await store.acknowledge([delivery])
        return "late"
    await asyncio.sleep(chance.random() * 0.005)  # gives the other process a chance to commit first
    return await store.commit(step(delivery.key, version, name, (delivery,), version + 2 < 2 * steps))


async def hold(store: SqliteStore, name: str) -> None:
    taken = await store.receive_messages(Consumer("workers", name), 100, 5)
    say("holds", len(taken))
    await asyncio.Event().wait()


async def write(store: SqliteStore, name: str) -> None:
    async def one(key: ExecutionKey) -> None:
        await store.start(Start(key, WorkflowRef("n", "w", "1.0.0"), None, 1))
        version = 0
        while True:
            outcome = await store.commit(step(key, version, name, (), goes_on=True))
            say(outcome, key.id, version + 2)
            version += 2

    await asyncio.gather(*(one(ExecutionKey("default", f"{name}-{n}")) for n in range(30)))


async def main(mode: str, path: str, name: str, *numbers: str) -> None:
    store = SqliteStore(Path(path), SqliteSettings())
    await store.open()
    try:
        await {"race": race, "hold": hold, "write": write}[mode](store, name, *map(int, numbers))
    finally:
        await store.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
