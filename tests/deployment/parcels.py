"""A load of executions that a client starts through the API, and what each must have done at its end."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.harness import TENANT
from tests.chaos.ledger import Ledger
from tests.chaos.oracle import check_execution

from unspool.client import AsyncClient
from unspool.definitions.compile import compile_plan
from unspool.definitions.document import load
from unspool.definitions.expressions import JqPool
from unspool.definitions.json_value import Json
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import ExecutionKey

TEXTS = Path(__file__).with_suffix(".yaml").read_text().split("---\n")


@dataclass
class Parcels:
    """Executions of `rolling/parcel`. An event for each is published as soon as it has been started."""

    client: AsyncClient
    ledger: Ledger
    service: str
    """Address of the ledger."""
    payment: str = "flaky"
    """The place that takes the payments: `flaky`, which fails once for each execution, or `book`."""
    prefix: str = "parcel"
    """Of the ids."""
    started: list[str] = field(default_factory=list)

    async def deploy(self) -> None:
        """Deploys the workflows."""
        for text in reversed(TEXTS):
            await self.client.deploy(text)

    async def keep_starting(self, until: asyncio.Event, pause: float) -> None:
        """Starts one after another until something has happened. No call may fail."""
        while not until.is_set():
            await self.start()
            await asyncio.sleep(pause)

    async def start(self) -> None:
        """Starts one more."""
        number = len(self.started)
        id_ = f"{self.prefix}-{number}"
        await self._start(number, id_)
        self.started.append(id_)

    async def _start(self, number: int, id_: str) -> None:
        given: Json = {"service": self.service, "payment": self.payment, "number": number}
        await self.client.start("rolling/parcel", given, id=id_)
        await self.client.publish(collected(id_))

    async def start_again(self) -> None:
        """Repeats every start and every event, as callers do after a restore."""
        for number, id_ in enumerate(self.started):
            await self._start(number, id_)

    async def completed(self, seconds: float) -> None:
        """Waits until all have ended, each with the right output."""
        results = await asyncio.gather(*(self.client.result(id_, timeout=seconds) for id_ in self.started))
        assert results == [
            {"booked": f"/book/ship-{id_}", "number": number} for number, id_ in enumerate(self.started)
        ]

    def check_effects(self) -> None:
        """Checks that each effect happened once."""
        booked = Counter(path for path in self.ledger.booked.values() if f"{self.prefix}-" in path)
        assert booked == Counter(path for id_ in self.started for path in self._effects(id_))

    def _effects(self, id_: str) -> list[str]:
        return [f"/book/reserve-{id_}", f"/{self.payment}/{id_}", f"/slow/{id_}", f"/book/ship-{id_}"]

    async def check_histories(self, store: EventStore, jq: JqPool) -> None:
        """Checks every history, and that nothing was called that no history requested."""
        plan = compile_plan(load(TEXTS[0]).value, jq)
        arrivals = self.ledger.arrivals.first()
        requested: set[str] = set()
        for id_ in self.started:
            key = ExecutionKey(TENANT, id_)
            history = await check_execution(store, key, plan, arrivals, "workflow.completed")
            requested |= {f"{id_}/{event.run}" for event in history if event.type == "task.requested"}
        assert {key for key in arrivals if key.startswith(f"{self.prefix}-")} <= requested

    @property
    def repeated_calls(self) -> int:
        """How many calls were made again, because their executor stopped or seemed to be dead."""
        arrivals = Counter(arrival.key for arrival in self.ledger.arrivals)
        return arrivals.total() - len(arrivals)


def collected(id_: str) -> dict[str, Json]:
    """The event that an execution waits for."""
    return {
        "specversion": "1.0",
        "id": id_,
        "source": "/parcels",
        "type": "parcel.collected",
        "subject": id_,
        "data": {"by": "courier"},
    }
