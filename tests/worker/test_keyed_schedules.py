"""Schedules whose executions have idempotency keys: each key has one execution."""

from collections import Counter
from typing import Any

from tests.worker.test_event_schedules import event, listening
from tests.worker.test_schedules import (
    KEY,
    NAP,
    TENANT,
    executions,
    now,
    pause,
    running,
    state_of,
    until,
    until_started,
)

from unspool.eventstore.events import Event
from unspool.eventstore.ids import new_id
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import (
    Definition,
    ExecutionKey,
    Message,
    MessageKind,
    Start,
    Status,
    WorkflowRef,
)
from unspool.worker.idempotency_keys import IdempotencyKeys
from unspool.worker.schedule.deployment import deploy

REF = WorkflowRef("shop", "report", "1.0.0")
TASKS = "do: [{a: {set: {x: 1}}}]\n"


async def deployed(
    store: EventStore, schedule: str, key: str, tasks: str = TASKS, reuse: str = "never"
) -> None:
    metadata = f"metadata: {{unspool: {{idempotencyKey: '{key}', reuse: {reuse}}}}}"
    document = f"document: {{dsl: '1.0.3', namespace: shop, name: report, version: '1.0.0', {metadata}}}\n"
    await deploy(store, TENANT, Definition(REF, f"{document}schedule: {schedule}\n{tasks}", now()), now())


async def of_type(store: EventStore, type_: str) -> list[Event]:
    return [each for each in await store.history(KEY) if each.type == type_]


async def until_there_are(store: EventStore, type_: str, count: int) -> list[Event]:
    async def enough() -> bool:
        return len(await of_type(store, type_)) >= count

    await until(enough, f"fewer than {count} events {type_}")
    return await of_type(store, type_)


async def until_waiting(store: EventStore, count: int) -> None:
    async def all_wait() -> bool:
        records = await executions(store)
        return len(records) == count and all(each.status is Status.WAITING for each in records)

    await until(all_wait, f"there are not {count} executions that wait")


async def test_events_with_the_same_key_start_one_execution(store, jq):
    """Of several, the first event is the input. Other starts join that execution."""
    await deployed(store, "{on: {one: {with: {type: t}}}}", "order:${ .[0].order }", NAP)
    async with running(store, jq, 2):
        await listening(store)
        await store.publish(TENANT, [event("t", n, {"order": n % 3, "n": n}) for n in range(60)])
        started = await until_there_are(store, "occurrence.started", 60)
        await until_waiting(store, 3)
        records = await executions(store)
        inputs = [(await store.history(record.key))[0].data["input"] for record in records]
        proposed = Start(ExecutionKey(TENANT, new_id(now())), REF, [{"order": 1}], now())
        joined = await IdempotencyKeys(store, jq).resolve(proposed)
    assert sorted(value["n"] for [value] in inputs) == [0, 1, 2]
    assert Counter(each.data["execution"] for each in started) == dict.fromkeys(
        (record.key.id for record in records), 20
    )
    assert joined.key in {record.key for record in records}
    assert {record.idempotency_key for record in records} == {"order:0", "order:1", "order:2"}


async def test_an_event_without_a_key_starts_nothing(store, jq, caplog):
    await deployed(store, "{on: {one: {with: {type: t}}}}", "${ .[0].order }")
    async with running(store, jq):
        await listening(store)
        await store.publish(TENANT, [event("t", "bad", {}), event("t", "good", {"order": 1})])
        await until_there_are(store, "occurrence.started", 1)
        [failed] = await of_type(store, "occurrence.failed")
        assert failed.data["event"] == {"source": "/s", "id": "bad"}
        assert "the key must be a text or a number, but it is null" in failed.data["cause"]
        assert "execution" not in failed.data
        assert [r.idempotency_key for r in await until_started(store, 1)] == ["1"]
        state = await state_of(store)
    assert state.last_execution == (await executions(store))[0].key.id
    assert (await store.dead_letters(TENANT)).items == ()
    assert "schedule_failed" in {getattr(each, "action", None) for each in caplog.records}


async def test_a_set_without_a_key_is_gone(store, jq):
    pair = "{on: {all: [{with: {type: a}}, {with: {type: b}}]}}"
    await deployed(store, pair, "${ .[0].order }")
    async with running(store, jq):
        await listening(store)
        await store.publish(TENANT, [event("a", 1, {}), event("b", 2)])
        await store.publish(TENANT, [event("a", 3, {"order": 1}), event("b", 4)])
        await until_there_are(store, "occurrence.started", 1)
        assert len(await of_type(store, "occurrence.failed")) == 1
        assert (await state_of(store)).sets.events == 0


async def test_every_starts_nothing_while_the_execution_of_its_key_runs(store, jq):
    await deployed(store, "{every: {milliseconds: 50}}", "one", NAP, "ended")
    async with running(store, jq, 2):
        await until_there_are(store, "occurrence.started", 5)
        [first] = await until_started(store, 1)
        await store.send(TENANT, Message(MessageKind.CANCEL, first.key.id, {}))

        async def again() -> bool:
            return len(await executions(store)) == 2

        await until(again, "the key is not free again")
        state = await pause(store)
        assert state.last_execution == (await executions(store))[1].key.id


async def test_after_waits_for_the_execution_that_it_joins(store, jq):
    """That one was started by hand, and has no parent."""
    await deployed(store, "{after: {milliseconds: 20}}", "one", NAP, "ended")
    await store.send(TENANT, Message(MessageKind.SUSPEND, KEY.id, {}))
    mine = await IdempotencyKeys(store, jq).resolve(Start(ExecutionKey(TENANT, "mine"), REF, {}, now()))
    await store.start(mine)
    async with running(store, jq, 2):
        await listening(store)
        await store.send(TENANT, Message(MessageKind.RESUME, KEY.id, {}))
        [started, *_] = await until_there_are(store, "occurrence.started", 1)
        assert started.data["execution"] == "mine"
        assert started.data["child"] != "mine"
        assert (await state_of(store)).triggers["after"].execution == started.data["child"]
        await until_joined(store, mine.key)
        await store.send(TENANT, Message(MessageKind.CANCEL, "mine", {}))
        [ended] = await until_there_are(store, "execution.ended", 1)
        assert ended.data == {"execution": started.data["child"], "status": "cancelled"}
        await store.send(TENANT, Message(MessageKind.RESUME, KEY.id, {}))
        [_, following] = await until_there_are(store, "occurrence.started", 2)
        assert "child" not in following.data


async def until_joined(store: EventStore, key: ExecutionKey) -> None:
    async def joined() -> bool:
        return "workflow.joined" in {each.type for each in await store.history(key)}

    await until(joined, "the schedule did not join the execution")


async def test_after_joins_an_execution_that_has_ended(store, jq):
    """Again and again, after each interval: `reuse` is `never`."""
    await deployed(store, "{after: {milliseconds: 20}}", "one")
    async with running(store, jq, 2):
        started = await until_there_are(store, "occurrence.started", 4)
        [only] = await until_started(store, 1)
    assert {each.data["execution"] for each in started} == {only.key.id}


async def test_times_go_on_without_keys_and_after_stops(store, jq):
    await deployed(store, "{every: {milliseconds: 30}, after: PT0S}", "${ .order }")
    async with running(store, jq):
        failed = await until_there_are(store, "occurrence.failed", 4)
        state = await pause(store)
    assert Counter(each.task for each in failed)["/schedule/after"] == 1
    assert (state.last, state.last_execution) == (None, None)
    assert await executions(store) == []


async def test_a_key_in_real_jq(store, jq):
    key = '${ .[0].order | ltrimstr("a") | [match("b+"; "g").string] | join("-") }'
    await deployed(store, "{on: {one: {with: {type: t}}}}", key)
    async with running(store, jq):
        await listening(store)
        data: list[Any] = ["abxbb", "abxbb", "ab"]
        await store.publish(TENANT, [event("t", n, {"order": each}) for n, each in enumerate(data)])
        await until_there_are(store, "occurrence.started", 3)
        assert {r.idempotency_key for r in await until_started(store, 2)} == {"b-bb", "b"}
