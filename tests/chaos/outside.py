"""Executions that use what is outside, and what each of them returns.

They fetch texts, run commands and scripts, call functions and services, and get events of a stream and
messages of a broker. Each effect has to happen at least once, with a key that does not change, and nothing
else may happen.
"""

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import redis.asyncio
from redis.exceptions import RedisError
from tests.chaos.conversations import event
from tests.chaos.harness import BOUND, TENANT, completed, listening
from tests.chaos.oracle import check_execution
from tests.chaos.programs import ref_of
from tests.chaos.stand_ins import STREAM, StandIns, channel_of

from unspool.definitions.compile import compile_plan
from unspool.definitions.document import load
from unspool.definitions.expressions import JqPool
from unspool.definitions.json_value import Json
from unspool.definitions.plan import Plan
from unspool.eventstore.events import Event
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import Definition, ExecutionKey, Start
from unspool.eventstore.retry import retry_until_available
from unspool.worker.fetched_resources import fetched_in
from unspool.worker.resource_cache import plan_for_replay

COUNT = 6
"""Events, or messages, of each execution that gets some."""

NUMBERS = [*range(1, COUNT + 1)]
"""What they contain."""

TEXTS = 3
"""Texts of an execution that fetches: a function at an address and one of a catalog, and a schema."""

PROCESSES = ("commands", "scripts")
"""Kinds of processes that write their effects to a file each."""

TEMPLATES = {
    load(text).value["document"]["name"]: text
    for text in Path(__file__).with_suffix(".yaml").read_text().split("---\n")[1:]
}
"""The definitions by name."""


@dataclass
class Outside:
    """Groups of executions, one of each program."""

    store: EventStore
    stand_ins: StandIns
    stream: str
    """URL of the Redis with the stream of events."""
    groups: int
    chance: random.Random
    seconds: float
    """How long an execution may take to begin to listen, or to subscribe."""
    started: dict[ExecutionKey, str] = field(default_factory=dict)
    """The program of each execution."""

    async def run(self, seconds: float) -> None:
        """Starts the executions, over some seconds, and sends what they wait for."""
        for program, text in self.texts.items():
            definition = Definition(ref_of(program), text, 0)
            await retry_until_available(partial(self.store.put_definition, TENANT, definition))
        async with asyncio.TaskGroup() as group:
            for number in range(self.groups):
                for program in TEMPLATES:
                    group.create_task(self._run(program, number))
                await asyncio.sleep(seconds / self.groups)

    @property
    def texts(self) -> dict[str, str]:
        """The definitions by name, with the addresses of the stand-ins."""
        values = {
            "ADDRESS": self.stand_ins.address,
            "GRPC_PORT": str(self.stand_ins.greeter.port),
            "COUNT": str(COUNT),
        }
        return {program: _with(text, values) for program, text in TEMPLATES.items()}

    async def completed(self, deadline: float) -> None:
        """Waits until all have completed."""
        await asyncio.gather(*(completed(self.store, key, deadline) for key in self.started))

    async def check(self, jq: JqPool) -> None:
        """Checks histories and outputs, and that all effects were asked for and happened."""
        plans = {program: compile_plan(load(text).value, jq) for program, text in self.texts.items()}
        requested: set[str] = set()
        for key, program in self.started.items():
            history = await self._checked(key, plans[program], jq)
            check_output(key, program, history[-1].data["output"])
            if program == "calling":
                requested |= {f"{key.id}/{event.run}" for event in history if event.type == "task.requested"}
        arrivals = self.stand_ins.arrivals
        called = {*arrivals.to("functions"), *arrivals.to("operations"), *self.stand_ins.greeter.keys}
        assert called == requested, "other calls were made than the histories ask for"
        commanding = {key.id for key, program in self.started.items() if program == "commanding"}
        for kind in PROCESSES:
            assert set(self.stand_ins.written(kind)) == commanding, f"other {kind} ran than were asked for"

    async def stream_is_read(self) -> None:
        """Waits until each entry of the stream is published and acknowledged."""
        deadline = time.monotonic() + BOUND
        async with redis.asyncio.Redis.from_url(self.stream) as client:
            newest = (await client.xinfo_stream(STREAM))["last-generated-id"]
            while not is_read(group := (await client.xinfo_groups(STREAM))[0], newest):
                assert time.monotonic() < deadline, f"entries of the stream are not acknowledged: {group}"
                await asyncio.sleep(0.1)

    async def _run(self, program: str, number: int) -> None:
        key = ExecutionKey(TENANT, f"{program}-{number}")
        self.started[key] = program
        files = {kind: str(self.stand_ins.file(kind)) for kind in PROCESSES}
        start = Start(key, ref_of(program), {"count": COUNT, **files}, time.time_ns() // 1_000_000)
        await retry_until_available(partial(self.store.start, start))
        if program == "hearing":
            await listening(self.store, key, self.seconds)
            await self._send_entries(key)
        if program == "subscribing":
            await self._send_messages(key)

    async def _send_entries(self, key: ExecutionKey) -> None:
        """Writes each event twice to the stream: its writers, too, repeat what was not answered."""
        async with redis.asyncio.Redis.from_url(self.stream) as client:
            for number in NUMBERS:
                text = json.dumps(event(key, "streamed", str(number), {"number": number}))
                for _ in range(2):
                    await until_it_answers(partial(client.xadd, STREAM, {"event": text}))
                await asyncio.sleep(self.chance.uniform(0, 0.5))

    async def _send_messages(self, key: ExecutionKey) -> None:
        """Sends messages when the execution has subscribed: before that, the broker keeps none for it."""
        channel, deadline = channel_of(key.id), time.monotonic() + self.seconds
        async with redis.asyncio.Redis.from_url(self.stand_ins.broker) as client:
            while not (await client.exists(channel) and await client.xinfo_groups(channel)):
                assert time.monotonic() < deadline, f"{key.id} does not subscribe"
                await asyncio.sleep(0.1)
            for number in NUMBERS:
                await client.xadd(channel, {"payload": json.dumps({"number": number})})
                await asyncio.sleep(self.chance.uniform(0, 0.5))

    async def _checked(self, key: ExecutionKey, plan: Plan, jq: JqPool) -> list[Event]:
        """Checks an execution with the texts that it has fetched; returns its history."""
        history = await self.store.history(key)
        fetched = [event.data for event in history if event.type == "resource.fetched"]
        pinned = {data["resource"]: data["sha256"] for data in fetched}
        assert len(pinned) == len(fetched), f"{key.id} has fetched a text again"
        if self.started[key] == "fetching":
            assert len(pinned) == TEXTS
            assert set(pinned.values()) <= self.stand_ins.texts, "a text was never served"
        texts = {sha256: await self.store.text(TENANT, sha256) or "" for sha256 in pinned.values()}
        extended = plan_for_replay(plan, fetched_in(history), texts, jq)
        arrivals = self.stand_ins.arrivals.first()
        return await check_execution(self.store, key, extended, arrivals, "workflow.completed")


def check_output(key: ExecutionKey, program: str, output: Json) -> None:
    """Checks what an execution returns."""
    match program:
        case "fetching":  # the numbers of two texts, three times
            assert output == output[:2] * 3, f"{key.id} has used several texts of one address: {output}"
        case "commanding":
            assert output == [key.id] * 2
        case "calling":
            assert output == [key.id, key.id, f"Hello {key.id}"]
        case "hearing":  # several executors read the stream
            assert sorted(output) == NUMBERS, f"events of the stream are lost or doubled: {output}"
        case "subscribing":
            assert output == NUMBERS, f"messages are lost, doubled or in another order: {output}"


async def until_it_answers(call: Callable[[], Awaitable[object]]) -> None:
    """Calls a Redis that may be away for a moment, until it answers."""
    deadline = time.monotonic() + BOUND
    while True:
        try:
            await call()
        except RedisError:
            assert time.monotonic() < deadline, "Redis does not answer"
            await asyncio.sleep(0.1)
        else:
            return


def is_read(group: dict[str, Any], newest: bytes) -> bool:
    """Whether a consumer group has read and acknowledged a stream up to its newest entry."""
    return group["last-delivered-id"] == newest and not group["pending"]


def _with(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = text.replace(name, value)
    return text
