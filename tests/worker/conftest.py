"""Worlds for the interpreter (`world.py`)."""

import textwrap
from collections.abc import AsyncIterator, Callable, Mapping
from random import Random

import pytest
from tests.worker.world import PENDING, Answer, World, echo

from unspool.definitions.compile import compile_plan
from unspool.definitions.document import load
from unspool.definitions.expressions import JqPool
from unspool.definitions.plan import Plan
from unspool.eventstore.opening import open_store
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import MessageKind
from unspool.executor.outcome import FetchedText

HEADER = """\
document: {dsl: '1.0.3', namespace: test, name: test, version: '1.0.0'}
"""


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[EventStore]:
    """An empty store; a test that uses it runs on both."""
    opened = await open_store(store_url, {})
    yield opened
    await opened.close()


@pytest.fixture
def world(jq: JqPool) -> Callable[..., World]:
    """Makes a world from the tasks of a definition (`do: …` and other top-level members)."""

    def make(definition: str, answer: Answer = echo) -> World:
        text = HEADER + textwrap.dedent(definition)
        return World(compile_plan(load(text).value, jq), answer, jq=jq)

    return make


@pytest.fixture(scope="session")
def interpreted(jq: JqPool) -> Callable[..., World]:
    """Runs a plan on an empty list to its end; messages arrive in a random order.

    Takes the plan, the source of chance, and the texts of external resources by their addresses.
    """

    def interpret(plan: Plan, chance: Random, texts: Mapping[str, str]) -> World:
        run = World(plan, lambda _: PENDING, jq=jq).start([])
        answered = 0
        while not run.state.status.ended:
            open_requests = run.requests[answered:]
            listening = [each for each, entries in run.subscriptions.items() if entries is not None]
            if listening and (not (open_requests or run.timers) or chance.random() < 0.5):
                event = {"specversion": "1.0", "id": "1", "source": "/s", "type": chance.choice("ab")}
                run.send(MessageKind.EVENT, run=chance.choice(listening), event={**event, "data": [1]})
            elif open_requests and (not run.timers or chance.random() < 0.5):
                request = chance.choice(open_requests)
                run.requests.remove(request)
                run.requests.insert(answered, request)
                answered += 1
                fetches = request.queue == "resource"
                text = texts[request.arguments["endpoint"]["uri"]] if fetches else ""
                run.reply(request, FetchedText(text) if fetches else request.arguments["body"])
                run.settle()
            else:
                due = len(run.timers)
                run.pass_time(lambda world, due=due: len(world.timers) < due)
        return run

    return interpret


@pytest.fixture
def pending() -> object:
    return PENDING
