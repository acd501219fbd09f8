"""`make demo`: runs two orders through `order-fulfilment.yaml`, draws their timelines, and replays the first.

    python examples/demo.py [--seed 1] [--store sqlite:///PATH | redis://HOST:PORT/DB]

The sample service, a worker, an executor and a timer service all run in this process.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
from sample_service import REFUSED_CARD, Shop, running_shop
from timeline import Style, bars, draw

from unspool.api.representations import describe
from unspool.cli.deployment import deploy_document, identity
from unspool.cli.documents import valid_document
from unspool.cli.following import follow, record_of
from unspool.cli.node import Node
from unspool.definitions.compile import compile_plan
from unspool.definitions.document import Document
from unspool.definitions.expressions import JqPool
from unspool.eventstore.clock import SystemClock
from unspool.eventstore.event_json import event_json
from unspool.eventstore.events import Event
from unspool.eventstore.ids import new_id
from unspool.eventstore.opening import open_store
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import DEFAULT_TENANT, ExecutionKey, Start
from unspool.worker.replay import state_at, verify
from unspool.worker.state_json import state_json

WORKFLOW: Final = Path(__file__).with_name("order-fulfilment.yaml")

SECONDS: Final = 60
"""The longest time an order may take; a longer one means a bug."""

GOOD_ORDER: Final[dict[str, Any]] = {
    "order": "A-1001",
    "sku": "lamp",
    "quantity": 2,
    "amount": 129.0,
    "card": "good",
}
BAD_ORDER: Final[dict[str, Any]] = {
    "order": "A-1002",
    "sku": "lamp",
    "quantity": 1,
    "amount": 64.5,
    "card": REFUSED_CARD,
}


class Finished(NamedTuple):
    """An execution that has ended."""

    execution: dict[str, Any]
    """The execution as the API describes it."""
    history: Sequence[Event]


async def fulfil(store: EventStore, document: Document, order: dict[str, Any]) -> Finished:
    """Starts an execution for an order and waits for its end."""
    now = SystemClock().now()
    key = ExecutionKey(DEFAULT_TENANT, new_id(now))
    await store.start(Start(key, identity(document), order, now))
    async with asyncio.timeout(SECONDS):
        await follow(store, key)
    execution = await describe(store, await record_of(store, key))
    return Finished(execution, await store.history(key))


# -- output


def show_order(title: str, finished: Finished, style: Style) -> None:
    """Prints the timeline and the outcome of an order."""
    events = [event_json(event) for event in finished.history]
    seconds = (finished.history[-1].time - finished.history[0].time) / 1000
    print(f"\n{style.paint(title, 'bold')}  {style.paint('execution ' + finished.execution['id'], 'dim')}\n")
    for line in draw(bars(events), style):
        print(line)
    status = finished.execution["status"]
    print(f"\n  {status} in {seconds:.2f} s, {len(events)} events\n")
    print(f"{style.paint('Output', 'bold')}  {_json(finished.execution.get('output'))}")


def show_replay(document: Document, finished: Finished, style: Style) -> bool:
    """Replays an execution from its history; returns whether all events are the same."""
    id_, history = finished.execution["id"], finished.history
    print(f"\n{style.paint('The same, replayed', 'bold')}  from its history alone: no service is called\n")
    for event in _key_events(history):
        state = state_json(state_at(id_, history, event.seq))
        print(f"  after event {event.seq:>2}  {event.type:<18}  {_summary(state)}")
    jq = JqPool()
    try:
        divergence = verify(compile_plan(document.value, jq), id_, history)
    finally:
        jq.close()
    if divergence is None:
        print(f"\n  verified: interpreted again, all {len(history)} events are the same")
    else:
        print(f"\n  {style.paint(f'event {divergence.seq} is different', 'red')}: {divergence}")
    return divergence is None


def _key_events(history: Sequence[Event]) -> list[Event]:
    """The requested tasks, the retries and the last event."""
    shown = {"task.requested", "task.retried"}
    return [event for event in history if event.type in shown] + [history[-1]]


def _summary(state: dict[str, Any]) -> str:
    """Describes a state in one line: its status, the innermost running tasks, the context."""
    running = [run["task"] for run in state["running"]]
    innermost = [task for task in running if not any(other.startswith(f"{task}/") for other in running)]
    tasks = " + ".join(task.rsplit("/", 1)[-1] for task in innermost)
    context = ", ".join((state.get("context") or {}).values())
    return f"{state['status']:<9}  {tasks:<28}  {context}".rstrip()


def show_service(shop: Shop, order: str, style: Style) -> None:
    """Prints the payment requests that the sample service received."""
    attempts = [call for call in shop.calls if call.path == "/payments"]
    paid = [payment for payment in shop.payments.values() if payment["order"] == order]
    answers = ", ".join(str(call.status) for call in attempts)
    print(
        f"\n{style.paint('The bank', 'bold')}  was asked {len(attempts)} times ({answers}), "
        f"idempotency keys: {len({call.key for call in attempts})}, payments taken: {len(paid)}"
    )


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def terminal_style() -> Style:
    """Returns the style that standard output supports."""
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    try:
        "━╸".encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        return Style(colour, block="=", tick="|")
    return Style(colour)


async def demo(url: str, seed: int) -> bool:
    """Runs the demonstration; returns whether the results are as expected."""
    style = terminal_style()
    shop = Shop(seed)
    document = valid_document(str(WORKFLOW))
    store = await open_store(url, os.environ)
    try:
        async with running_shop(shop) as service, Node(store, url):
            print(f"A shop is open at {service}; about half of its payment requests answer 503.")
            await deploy_document(store, DEFAULT_TENANT, document)
            good = await fulfil(store, document, {"service": service, **GOOD_ORDER})
            show_order(f"Order {GOOD_ORDER['order']}", good, style)
            show_service(shop, GOOD_ORDER["order"], style)
            verified = show_replay(document, good, style)
            bad = await fulfil(store, document, {"service": service, **BAD_ORDER})
            show_order(f"Order {BAD_ORDER['order']}, with a card that is refused", bad, style)
    finally:
        await store.close()
    statuses = [finished.execution.get("output", {}).get("status") for finished in (good, bad)]
    return verified and statuses == ["shipped", "cancelled"]


def main() -> None:
    """Runs the demonstration."""
    parser = argparse.ArgumentParser(description="Runs the order example against a sample service.")
    parser.add_argument("--store", default="sqlite://", help="URL of the event store; default: in memory")
    parser.add_argument("--seed", type=int, default=1, help="selects the payment requests that answer 503")
    options = parser.parse_args()
    sys.exit(0 if asyncio.run(demo(options.store, options.seed)) else 1)


if __name__ == "__main__":
    main()
