"""Workers that are killed between a commit and the delivery of what it has for others.

Only on Redis are these two steps.
"""

import time
from collections import Counter

import pytest
from tests.chaos.harness import TENANT, Harness
from tests.chaos.oracle import check_execution
from tests.tcp_proxy import RedisProxy

from unspool.definitions.compile import compile_plan
from unspool.definitions.document import load
from unspool.eventstore.listing import ExecutionFilter
from unspool.eventstore.records import Definition, ExecutionKey, Start, WorkflowRef
from unspool.eventstore.redis import scripts

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.timeout(480),
    pytest.mark.parametrize("server", ["redis"], indirect=True),
]

HEAD = "document: {dsl: '1.0.3', namespace: chaos, name: %s, version: '1.0.0'}\ndo:\n"
TEXTS = {
    "parent": "- child: {run: {workflow: {namespace: chaos, name: child, version: '1.0.0'}}}\n",
    "child": "- think: {set: {thought: true}}\n",
    "talking": """\
- both:
    fork:
      branches:
      - hear: {listen: {to: {one: {with: {type: chaos.said, subject: '${ $workflow.id }'}}}}}
      - say: {emit: {event: {with: {type: chaos.said, subject: '${ $workflow.id }', data: {said: true}}}}}
    output: {as: '${ .[0][0] }'}
""",
}


def ref_of(name: str) -> WorkflowRef:
    return WorkflowRef("chaos", name, "1.0.0")


async def start(harness: Harness, name: str) -> ExecutionKey:
    for each, text in TEXTS.items():
        await harness.store.put_definition(TENANT, Definition(ref_of(each), HEAD % each + text, 0))
    key = ExecutionKey(TENANT, f"{name}-0")
    assert await harness.store.start(Start(key, ref_of(name), None, time.time_ns() // 1_000_000))
    return key


async def checked(harness: Harness, key: ExecutionKey, name: str) -> Counter[str]:
    """Checks an execution; returns how often each type of event is in its history."""
    plan = compile_plan(load(HEAD % name + TEXTS[name]).value, harness.jq)
    history = await check_execution(harness.store, key, plan, {}, "workflow.completed")
    return Counter(event.type for event in history)


async def killed_before_delivery(
    harness: Harness, proxy: RedisProxy, name: str, *held: bytes
) -> ExecutionKey:
    """Starts an execution; kills its worker when it is about to deliver. Returns the key of the execution."""
    proxy.hold_back(*held)
    await harness.fleet.start("worker-0", url=proxy.url)
    key = await start(harness, name)
    await harness.eventually(proxy.holds.is_set, "nothing is delivered")
    await harness.fleet.kill("worker-0")
    assert any(place.endswith("}:outbox") for place in harness.inspection.leftovers())
    return key


async def finish(harness: Harness, key: ExecutionKey) -> None:
    await harness.fleet.start("worker-1")
    await harness.event(key, "workflow.completed")
    await harness.nothing_left()
    await harness.fleet.stop()


@pytest.mark.parametrize("held", [b'"start"', b"child.ended"], ids=["start", "end"])
async def test_a_child_is_started_and_its_end_is_told_once(harness: Harness, proxy: RedisProxy, held: bytes):
    key = await killed_before_delivery(harness, proxy, "parent", scripts.DELIVER.sha.encode(), held)
    types = [event.type for event in await harness.store.history(key)]
    assert types[-1] == "child.started"
    await finish(harness, key)

    assert (await checked(harness, key, "parent"))["child.started"] == 1
    children = (await harness.store.executions(TENANT, ExecutionFilter(workflow=("chaos", "child")))).items
    [child] = [record.key for record in children]
    await checked(harness, child, "child")


async def test_an_event_is_published_and_received_once(harness: Harness, proxy: RedisProxy):
    key = await killed_before_delivery(harness, proxy, "talking", scripts.PUBLISH.sha.encode())
    assert await harness.store.published_events(TENANT) == []
    await finish(harness, key)

    assert (await checked(harness, key, "talking"))["event.received"] == 1
    assert len(await harness.store.published_events(TENANT)) == 1
    last = await harness.store.last_event(key)
    assert last is not None
    assert last.data["output"] == {"said": True}
