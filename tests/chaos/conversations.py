"""Executions that talk with events, and what each of them returns.

A publisher sends some events; it sends each twice, with the same id. Other events come from executions.
"""

import asyncio
import random
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.chaos.harness import TENANT, completed, listening
from tests.chaos.oracle import check_execution
from tests.chaos.programs import ref_of
from tests.chaos.ticking import executions_of

from unspool.definitions.compile import compile_plan
from unspool.definitions.document import load
from unspool.definitions.expressions import JqPool
from unspool.definitions.json_value import Json
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import Definition, ExecutionKey, Start
from unspool.eventstore.retry import retry_until_available

TEXTS = {
    load(text).value["document"]["name"]: text
    for text in Path(__file__).with_suffix(".yaml").read_text().split("---\n")[1:]
}
"""The definitions by name."""

ROUNDS = 4
"""Questions of each pair."""

NUMBERED = 8
"""Events for each execution that collects."""


@dataclass
class Conversations:
    """Groups of executions: two that talk, some that listen to the publisher, one with a child."""

    store: EventStore
    groups: int
    chance: random.Random
    seconds: float
    """How long an execution may take to begin to listen."""
    expected: dict[ExecutionKey, tuple[str, Json]] = field(default_factory=dict)
    """Program and output of each execution that was started here."""

    async def run(self, seconds: float) -> None:
        """Starts the executions, over some seconds, and publishes what they wait for."""
        for program, text in TEXTS.items():
            definition = Definition(ref_of(program), text, 0)
            await retry_until_available(partial(self.store.put_definition, TENANT, definition))
        questions = [
            {"pair": group, "number": number}
            for group in range(self.groups)
            for number in range(1, ROUNDS + 1)
        ]
        watching = await self._start("watching", 0, questions, {"count": len(questions)})
        await listening(self.store, watching, self.seconds)
        async with asyncio.TaskGroup() as group:
            for number in range(self.groups):
                for talk in self._talks(number):
                    group.create_task(talk)
                await asyncio.sleep(seconds / self.groups)

    async def completed(self, deadline: float) -> None:
        """Waits until all have completed, also the children."""
        await asyncio.gather(*(completed(self.store, key, deadline) for key in self.expected))
        children = await executions_of(self.store, ref_of("hired"))
        await asyncio.gather(*(completed(self.store, record.key, deadline) for record in children))

    async def check(self, jq: JqPool) -> None:
        """Checks the histories and outputs of all executions."""
        plans = {program: compile_plan(load(text).value, jq) for program, text in TEXTS.items()}
        children = {record.key: record for record in await executions_of(self.store, ref_of("hired"))}
        hired = {}
        for key, (program, output) in self.expected.items():
            history = await check_execution(self.store, key, plans[program], {}, "workflow.completed")
            found = history[-1].data["output"]
            if program == "watching":  # the pairs ask side by side
                found = sorted(found, key=lambda question: (question["pair"], question["number"]))
            assert found == output, f"{key.id}: {found}"
            hired |= {event.data["child"]: key.id for event in history if event.type == "child.started"}
        for key, record in children.items():
            await check_execution(self.store, key, plans["hired"], {}, "workflow.completed")
            assert record.parent is None or record.parent.execution == hired[key.id]
        assert {key.id for key in children} == set(hired)  # no child is lost, doubled or without a parent
        assert len(hired) == self.groups

    def _talks(self, number: int) -> list[Coroutine[None, None, None]]:
        return [
            self._talk_in_pair(number),
            self._collect("collecting", number, [*range(1, NUMBERED + 1)]),
            self._collect("processing", number, [[n, n - 1] for n in range(1, NUMBERED + 1)]),
            self._choose(number),
            self._hire(number),
        ]

    async def _talk_in_pair(self, number: int) -> None:
        numbers, both = [*range(1, ROUNDS + 1)], {"pair": number, "rounds": ROUNDS}
        answering = await self._start("answering", number, numbers, both)
        await listening(self.store, answering, self.seconds)
        await self._start("asking", number, numbers, both)

    async def _collect(self, program: str, number: int, output: Json) -> None:
        key = await self._start(program, number, output, {"count": NUMBERED})
        await listening(self.store, key, self.seconds)
        events = [event(key, "numbered", str(n), {"number": n}) for n in range(1, NUMBERED + 1)]
        while events:
            at_once = self.chance.randint(1, 3)
            await self._publish(events[:at_once])
            events = events[at_once:]
            await asyncio.sleep(self.chance.uniform(0, 0.3))

    async def _choose(self, number: int) -> None:
        """The second and the third event are of another order than the first."""
        key = await self._start("choosing", number, ["a", "a"], {})
        await listening(self.store, key, self.seconds)
        for id_, (type_, order) in enumerate(
            [("opened", "a"), ("closed", "b"), ("opened", "b"), ("closed", "a")]
        ):
            await self._publish([event(key, type_, str(id_), {"order": order})])

    async def _hire(self, number: int) -> None:
        await self._start("hiring", number, {"done": True}, {})

    async def _publish(self, events: list[dict[str, Json]]) -> None:
        """Publishes events, and again: sometimes at once, sometimes later."""
        for again in (events, events[::-1]):
            await retry_until_available(partial(self.store.publish, TENANT, again))
            await asyncio.sleep(self.chance.choice([0, 0, 0.1]))

    async def _start(self, program: str, number: int, output: Json, given: dict[str, Json]) -> ExecutionKey:
        key = ExecutionKey(TENANT, f"{program}-{number}")
        self.expected[key] = program, output
        start = Start(key, ref_of(program), given, time.time_ns() // 1_000_000)
        await retry_until_available(partial(self.store.start, start))
        return key


def event(key: ExecutionKey, type_: str, id_: str, data: dict[str, Json]) -> dict[str, Json]:
    """An event for one execution."""
    return {
        "specversion": "1.0",
        "type": f"chaos.{type_}",
        "source": f"/chaos/{key.id}",
        "id": id_,
        "subject": key.id,
        "data": data,
    }
