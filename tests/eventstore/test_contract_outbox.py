"""Starts and messages for other executions in commits: atomic with the commit, in order, applied once."""

import asyncio
from dataclasses import replace

from tests.background import repeating

from unspool.eventstore.listing import ExecutionFilter
from unspool.eventstore.records import MessageKind, Parent, SendMessage, StartExecution, Status
from unspool.eventstore.results import Outcome


def start_of(make, id_: str, **changes) -> StartExecution:
    return StartExecution(make.start(make.key(id_), **changes))


def message_to(make, id_: str, **body) -> SendMessage:
    return SendMessage(make.message(id_, **body))


async def test_a_commit_starts_executions_and_sends_to_them_in_order(store, make, hands):
    key = await hands.started(store)
    outgoing = [start_of(make, "child", input={"n": 1})]
    outgoing += [message_to(make, "child", n=n) for n in range(5)]

    assert await store.commit(make.commit(key, outgoing=tuple(outgoing))) is Outcome.COMMITTED

    first, *others = [d.body for d in await hands.messages(store, 6)]
    assert (first.kind, first.execution, first.body["input"]) == (MessageKind.START, "child", {"n": 1})
    assert [message.body["n"] for message in others] == [*range(5)]
    record = await store.execution(make.key("child"))
    assert (record.version, record.pending_input, record.workflow) == (0, {"n": 1}, make.workflow)
    page = await store.executions("default", ExecutionFilter(frozenset({Status.PENDING})))
    assert make.key("child") in [each.key for each in page.items]


async def test_a_start_keeps_its_trace_context(store, make, hands):
    key = await hands.started(store)
    context = f"00-{'a' * 32}-{'b' * 16}-01"
    start = StartExecution(replace(make.start(make.key("child")), traceparent=context))
    await store.commit(make.commit(key, outgoing=(start,)))
    [delivery] = await hands.messages(store)
    assert delivery.body.body["traceparent"] == context


async def test_a_start_whose_id_exists_changes_nothing(store, make, hands):
    key = await hands.started(store)
    await hands.started(store, make.key("child"))

    await store.commit(make.commit(key, outgoing=(start_of(make, "child", input="other"),)))

    assert (await store.execution(make.key("child"))).pending_input == {"amount": 3}
    assert await hands.nothing_waits(store)


async def test_a_message_to_an_execution_that_does_not_exist_is_dropped(store, make, hands):
    key = await hands.started(store)

    outgoing = (message_to(make, "absent"), message_to(make, key.id, n=1))
    assert await store.commit(make.commit(key, outgoing=outgoing)) is Outcome.COMMITTED

    [delivery] = await hands.messages(store)
    assert delivery.body.execution == key.id


async def test_a_refused_commit_sends_nothing(store, make, hands):
    key = await hands.started(store)
    await store.commit(make.commit(key))

    refused = make.commit(
        key, commit_id="rival", outgoing=(start_of(make, "child"), message_to(make, key.id))
    )
    assert await store.commit(refused) is Outcome.CONFLICT

    assert await store.deliver_outgoing() == 0
    assert await store.execution(make.key("child")) is None
    assert await hands.nothing_waits(store)


async def test_a_repeated_commit_sends_once(store, make, hands):
    key = await hands.started(store)
    commit = make.commit(key, outgoing=(start_of(make, "child"), message_to(make, "child", n=1)))

    assert await store.commit(commit) is Outcome.COMMITTED
    assert await store.commit(commit) is Outcome.DUPLICATE

    await hands.messages(store, 2)
    assert await store.deliver_outgoing() == 0
    assert await hands.nothing_waits(store)


async def test_order_holds_over_commits_of_several_processes(store, other, make, hands):
    senders = [await hands.started(store, make.key(f"sender{n}")) for n in range(8)]
    await hands.started(store, make.key("target"))

    async def commit(n: int) -> None:
        for version in range(20):
            by = (store, other)[version % 2]
            outgoing = (message_to(make, "target", sender=n, n=version),)
            assert await by.commit(make.commit(senders[n], after=version, outgoing=outgoing)) == "committed"

    async def relay() -> None:
        while True:
            await other.deliver_outgoing()
            await asyncio.sleep(0)  # on SQLite there is nothing to deliver, so the call does not wait

    async with repeating(relay()):
        await asyncio.gather(*(commit(n) for n in range(8)))

    bodies = [d.body.body for d in await hands.messages(store, 160)]
    for n in range(8):
        assert [body["n"] for body in bodies if body["sender"] == n] == [*range(20)]
    assert await hands.nothing_waits(store)


async def test_a_batch_of_commits_delivers_all(store, make, hands):
    keys = [await hands.started(store, make.key(f"e{n}")) for n in range(40)]

    commits = [make.commit(key, outgoing=(start_of(make, f"child-{key.id}"),)) for key in keys]
    assert set(await store.commit_all(commits)) == {Outcome.COMMITTED}

    started = {d.body.execution for d in await hands.messages(store, 40)}
    assert started == {f"child-e{n}" for n in range(40)}


async def test_a_refused_commit_of_a_batch_does_not_delay_the_others(store, make, hands):
    keys = [await hands.started(store, make.key(f"e{n}")) for n in range(40)]
    for key in keys[::2]:
        await store.commit(make.commit(key, commit_id="first"))

    commits = [make.commit(key, outgoing=(start_of(make, f"child-{key.id}"),)) for key in keys]
    assert await store.commit_all(commits) == [Outcome.CONFLICT, Outcome.COMMITTED] * 20

    started = {d.body.execution for d in await hands.messages(store, 20)}
    assert started == {f"child-e{n}" for n in range(1, 40, 2)}
    assert await store.deliver_outgoing() == 0


async def test_a_started_execution_knows_its_parent(store, make, hands):
    parent = Parent("one", "r1", 1)
    key = await hands.started(store)
    assert (await store.execution(key)).parent is None

    await store.commit(make.commit(key, outgoing=(start_of(make, "child", parent=parent),)))
    await store.start(make.start(make.key("direct"), parent=parent))

    for id_ in ("child", "direct"):
        assert (await store.execution(make.key(id_))).parent == parent
        [loaded] = await store.load([make.key(id_)], 10)
        assert loaded.record.parent == parent
    for delivery in await hands.messages(store, 2):
        assert delivery.body.body["parent"] == {"execution": "one", "run": "r1", "depth": 1}
