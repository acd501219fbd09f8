"""Payloads in a store with a key ring: opaque to the adapter, bound to their place, readable by all keys."""

import asyncio
import dataclasses
import logging
from contextlib import asynccontextmanager

import pytest
from tests.eventstore.conftest import encrypting, keys_of

from unspool.eventstore.consumers import SENDERS, Consumer, PayloadKeys
from unspool.eventstore.encryption.key_ring import new_key
from unspool.eventstore.encryption.key_use import PLAIN, key_use
from unspool.eventstore.encryption.payloads import SEALED, payloads_of
from unspool.eventstore.encryption.settings import KEYS_VARIABLE
from unspool.eventstore.encryption.store import EncryptedStore
from unspool.eventstore.errors import DamagedPayload, KeyMissing, StoreUnavailable
from unspool.eventstore.events import Event
from unspool.eventstore.records import (
    ExecutionKey,
    MessageKind,
    PublishEvent,
    SendMessage,
    Snapshot,
    StartExecution,
)
from unspool.eventstore.results import Outcome
from unspool.eventstore.stored_records import RecordKind

PAYLOAD = "the-canary"
SENDER = Consumer(SENDERS, "s1")


@pytest.fixture(params=["sqlite", "redis"])
def adapter(request):
    return request.getfixturevalue("plain_adapters")(request.param)


@pytest.fixture
def keys(tmp_path):
    """Files with keys, by name, each with the keys of these ids."""
    lines = {id_: new_key(id_) for id_ in ("first", "second")}

    def file(*ids):
        path = tmp_path / f"keys-{'-'.join(ids)}"
        path.write_text("\n".join(lines[id_] for id_ in ids))
        return path

    return file


@pytest.fixture
async def store(adapter, keys):
    """A store that encrypts with the key `first`."""
    async with opened(encrypting(adapter, keys("first"))) as store:
        yield store


@pytest.fixture
async def raw(adapter, store):
    """The same database without the keys and without the wrapper."""
    async with opened(adapter) as raw:
        yield raw


@asynccontextmanager
async def opened(adapter):
    store = adapter.make(adapter.clock)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def secret_events(count=2, after=0):
    return tuple(
        Event(seq, "task.completed", 2_000, "/do/0/a", "r1", {"output": PAYLOAD, "n": seq})
        for seq in range(after + 1, after + count + 1)
    )


async def test_an_adapter_gets_no_payload(store, raw, make, hands):
    key = make.key()
    event = make.event(data={"card": PAYLOAD}, subject=PAYLOAD, order=PAYLOAD)
    await store.start(make.start(input={"card": PAYLOAD}, idempotency_key=PAYLOAD, tags={"order": "A-1"}))
    record = await raw.execution(key)
    assert PAYLOAD not in repr(record)
    assert (record.tags, record.workflow) == ({"order": "A-1"}, make.workflow)
    assert await store.execution(key) == dataclasses.replace(
        record, pending_input={"card": PAYLOAD}, idempotency_key=PAYLOAD
    )
    [start] = await hands.messages(store)
    assert start.body.body["input"] == {"card": PAYLOAD}
    assert start.body.body["idempotencyKey"] == PAYLOAD
    child = make.start(make.key("child"), input=PAYLOAD)
    outcome = await store.commit(
        make.commit(
            events=secret_events(),
            tasks=(make.task(arguments={"endpoint": PAYLOAD}),),
            messages=(make.message(reason=PAYLOAD),),
            outgoing=(
                StartExecution(child),
                SendMessage(make.message("child", kind=MessageKind.CHILD_ENDED, output=PAYLOAD)),
                PublishEvent(event),
            ),
            acknowledges=(start,),
        )
    )
    assert outcome is Outcome.COMMITTED
    await store.put_snapshot(key, Snapshot(2, b'["' + PAYLOAD.encode() + b'"]'))
    sha256 = await store.put_text(key, f"text {PAYLOAD}")
    await store.deliver_outgoing()
    [loaded] = await raw.load([key], 10)
    assert PAYLOAD not in repr(loaded)
    assert PAYLOAD not in repr(await raw.load([child.key], 10))
    assert PAYLOAD not in repr(await raw.published_events("default"))
    assert PAYLOAD.encode() not in await raw.content("default", sha256)

    assert await store.history(key) == list(secret_events())
    assert await store.last_event(key) == secret_events()[-1]
    [loaded] = await store.load([key], 10)
    assert (loaded.snapshot.state, loaded.events) == (b'["the-canary"]', [])
    [published], [sealed] = await store.published_events("default"), await raw.published_events("default")
    assert (published.event, published.published_at) == (event, sealed.published_at)
    assert await store.text("default", sha256) == f"text {PAYLOAD}"
    messages = {each.body.kind: each.body.body for each in await hands.messages(store, 3)}
    assert messages[MessageKind.CANCEL] == {"reason": PAYLOAD}
    assert messages[MessageKind.CHILD_ENDED] == {"output": PAYLOAD}
    assert messages[MessageKind.START]["input"] == PAYLOAD


async def test_tasks_results_and_dead_letters(store, raw, make, hands):
    await store.start(make.start())
    await store.commit(make.commit(tasks=(make.task(arguments={"x": PAYLOAD}), make.task("r2"))))
    first, second = sorted(await hands.tasks(store, 2), key=lambda each: each.body.run)
    assert first.body.arguments == {"x": PAYLOAD}
    await store.finish_task(second, make.result(second.body, PAYLOAD))
    letter = await store.move_to_dead_letters(first, f"failed: {PAYLOAD}", f"Traceback {PAYLOAD}")
    assert PAYLOAD not in repr(await raw.dead_letters("default"))
    found = await store.dead_letter("default", letter)
    assert (found.body, found.error) == (first.body, f"failed: {PAYLOAD}")
    assert found.traceback == f"Traceback {PAYLOAD}"
    assert await store.requeue("default", letter)
    [again] = await hands.tasks(store)
    assert again.body == first.body
    results = [each for each in await hands.messages(store, 2) if each.body.kind is not MessageKind.START]
    assert results[0].body == make.result(second.body, PAYLOAD)


async def test_published_events_reach_subscribers_and_sinks(store, raw, make, hands):
    await store.start(make.start())
    [start] = await hands.messages(store)
    entry = make.entry(card=PAYLOAD)
    await store.commit(make.commit(subscriptions=(make.subscription("r1", entry),), acknowledges=(start,)))
    await store.keep_sinks(["sink"])
    await store.publish("default", [make.event("e1", card="other"), make.event("e2", card=PAYLOAD, data=[1])])
    batch = await store.receive_events(make.worker, 10, 5.0)
    assert await store.match(batch, keys_of) == 1
    [delivery] = await hands.messages(store)
    assert delivery.body.body["event"] == make.event("e2", card=PAYLOAD, data=[1])
    letter = await store.move_to_dead_letters(delivery, "failed", "")
    assert PAYLOAD not in repr(await raw.dead_letter("default", letter))
    batch = await store.receive_for_sink(SENDER, "sink", 10, 5.0)
    assert batch.events[1].event["card"] == PAYLOAD


async def test_plain_records_from_before_are_read(adapter, keys, make, hands):
    async with opened(adapter) as plain:
        await plain.start(make.start(input={"n": 1}, idempotency_key="k"))
        await plain.commit(make.commit(count=2, tasks=(make.task(),)))
        await plain.put_snapshot(make.key(), Snapshot(1, b"[1]"))
        sha256 = await plain.put_text(make.key(), "text")
        await plain.publish("default", [make.event(data=1)])
    async with opened(encrypting(adapter, keys("first"))) as store:
        await store.commit(make.commit(after=2))
        assert await store.history(make.key()) == list(make.events(3))
        [loaded] = await store.load([make.key()], 10)
        assert (loaded.snapshot.state, loaded.record.idempotency_key) == (b"[1]", "k")
        assert await store.text("default", sha256) == "text"
        assert [each.event for each in await store.published_events("default")] == [make.event(data=1)]
        [task] = await hands.tasks(store)
        assert task.body == make.task()


async def test_a_new_key_encrypts_and_the_old_one_still_decrypts(adapter, keys, make):
    async with opened(encrypting(adapter, keys("first"))) as store:
        await store.start(make.start())
        await store.commit(make.commit())
    async with opened(encrypting(adapter, keys("second", "first"))) as rotated:
        await rotated.commit(make.commit(after=1))
        assert await rotated.history(make.key()) == list(make.events(2))
    async with opened(encrypting(adapter, keys("second"))) as without:
        assert await without.history(make.key(), after=1) == list(make.events(1, after=1))
        with pytest.raises(KeyMissing, match="event 1 of one is encrypted with the key 'first'"):
            await without.history(make.key())


async def test_a_process_without_the_key_loses_nothing(store, adapter, keys, make, hands):
    await store.start(make.start())
    await store.commit(make.commit(tasks=(make.task(),)))
    await store.publish("default", [make.event(data=PAYLOAD)])
    for without in (keys("second"), None):
        locked_adapter = encrypting(adapter, without)
        async with opened(locked_adapter) as locked:
            for receive in (
                lambda: locked.receive_messages(make.second_worker, 10, 5.0),
                lambda: locked.receive_tasks(make.second_executor, 10, 5.0),
                lambda: locked.receive_events(make.second_worker, 10, 5.0),
                lambda: locked.load([make.key()], 10),
            ):
                with pytest.raises(KeyMissing, match="'first'") as caught:
                    await receive()
                assert isinstance(caught.value, StoreUnavailable)  # so services try again, and fail nothing
            assert locked.missing_keys() == ["first"]
    assert store.missing_keys() == []
    [message] = await hands.messages(store)
    [task] = await hands.tasks(store)
    assert (message.body.kind, task.body) == (MessageKind.START, make.task())
    assert message.attempts == task.attempts == 1
    batch = await store.receive_events(make.worker, 10, 5.0)
    assert [each.event for each in batch.events] == [make.event(data=PAYLOAD)]
    assert not (await store.dead_letters("default")).items


async def test_lists_show_what_cannot_be_decrypted(store, adapter, keys, make, hands):
    await store.start(make.start(idempotency_key="k"))
    [start] = await hands.messages(store)
    letter = await store.move_to_dead_letters(start, "failed", "")
    async with opened(encrypting(adapter, keys("second"))) as locked:
        [record] = (await locked.executions("default", make.all_executions)).items
        assert record.key == make.key()
        [shown] = (await locked.dead_letters("default")).items
        assert shown.id == letter
        assert "is encrypted with the key 'first'" in shown.error
        assert await locked.discard("default", letter)


async def test_a_payload_that_was_moved_is_refused(store, raw, make):
    for id_ in ("one", "two"):
        await store.start(make.start(make.key(id_), input=id_))
    stolen = (await raw.execution(make.key("one"))).pending_input
    await raw.start(make.start(make.key("three"), input=stolen))
    with pytest.raises(DamagedPayload, match="input of three cannot be decrypted with the key 'first'"):
        await store.execution(make.key("three"))


async def test_a_damaged_message_is_a_dead_letter(store, raw, make, hands, caplog):
    await store.start(make.start())
    await raw.send("default", make.message(**{SEALED: "first:AAAA"}))
    await store.send("default", make.message(reason="whole"))
    with caplog.at_level(logging.ERROR):
        messages = await hands.messages(store, 2)
    assert [each.body.kind for each in messages] == [MessageKind.START, MessageKind.CANCEL]
    [letter] = (await store.dead_letters("default")).items
    assert "message cancel of one cannot be decrypted" in letter.error
    assert "payload_damaged" in {record.action for record in caplog.records}


async def test_a_damaged_event_keeps_its_clear_attributes(store, raw, make):
    broken = make.event(**{SEALED: "first:AAAA"})
    await raw.publish("default", [broken])
    await store.publish("default", [make.event("e2", data=1)])
    batch = await store.receive_events(make.worker, 10, 5.0)
    assert [each.event for each in batch.events] == [make.event(), make.event("e2", data=1)]


async def test_a_caller_cannot_pass_a_payload_off_as_encrypted(store, raw, make):
    await store.start(make.start(input=PAYLOAD))
    copied = (await raw.execution(make.key())).pending_input
    await store.start(make.start(make.key("two"), input=copied))
    assert (await store.execution(make.key("two"))).pending_input == copied


AMBIGUOUS = {SEALED: "third:AAAA"}


@pytest.mark.parametrize("encrypted", [False, True])
async def test_a_payload_that_looks_encrypted_is_one_like_others(adapter, keys, make, hands, encrypted):
    child, text = make.start(make.key("child"), input=AMBIGUOUS), f"{SEALED}:third:AAAA"
    async with opened(encrypting(adapter, keys("first") if encrypted else None)) as store:
        await store.start(make.start(input=AMBIGUOUS, idempotency_key=text))
        record = await store.execution(make.key())
        assert (record.pending_input, record.idempotency_key) == (AMBIGUOUS, text)
        [start] = await hands.messages(store)
        assert (start.body.body["input"], start.body.body["idempotencyKey"]) == (AMBIGUOUS, text)
        tasks = (make.task(arguments=AMBIGUOUS), make.task("r2"))
        outgoing = (StartExecution(child), PublishEvent(make.event()))
        await store.commit(make.commit(tasks=tasks, outgoing=outgoing, acknowledges=(start,)))
        assert [each.body for each in await hands.tasks(store, 2)] == [*tasks]
        await store.deliver_outgoing()
        assert (await store.execution(child.key)).pending_input == AMBIGUOUS
        assert [each.event for each in await store.published_events("default")] == [make.event()]
        assert await store.text("default", await store.put_text(make.key(), text)) == text
        dead = await store.move_to_dead_letters((await hands.messages(store))[0], text, text)
        letter = await store.dead_letter("default", dead)
        assert (letter.error, letter.traceback, letter.body.body["input"]) == (text, text, AMBIGUOUS)


async def test_a_key_is_added_without_a_restart(adapter, keys, make, tmp_path):
    ring = tmp_path / "ring"
    ring.write_text(keys("first").read_text())
    async with opened(encrypting(adapter, ring)) as store:
        await store.start(make.start())
        async with opened(encrypting(adapter, keys("second"))) as other:
            await other.commit(make.commit())
        with pytest.raises(KeyMissing):
            await store.history(make.key())
        ring.write_text(keys("first", "second").read_text())
        async with asyncio.timeout(60):
            while True:
                try:
                    assert await store.history(make.key()) == list(make.events())
                    break
                except KeyMissing:
                    await asyncio.sleep(0.1)


async def everything(raw):
    """The kinds of records that need each key."""
    use = await key_use(raw.stored_records())
    return {key: dict(counted) for key, counted in use.items() if counted}


async def test_every_kind_of_record_tells_its_key(adapter, keys, make, hands):
    """Each kind of record once, in the order in which an execution makes them."""
    kinds = RecordKind
    async with opened(encrypting(adapter, keys("first"))) as store, opened(adapter) as raw:
        await store.start(make.start(idempotency_key="k"))
        assert await everything(raw) == {"first": {kinds.EXECUTION: 1, kinds.MESSAGE: 1}}
        [start] = await hands.messages(store)
        await store.commit(
            make.commit(
                events=(*secret_events(2), Event(3, "timer.fired", 1, None, None, {"timer": "t"})),
                tasks=(make.task(), make.task("r2")),
                outgoing=(PublishEvent(make.event(data=PAYLOAD)),),
                acknowledges=(start,),
            )
        )
        await store.deliver_outgoing()
        await store.put_snapshot(make.key(), Snapshot(2, b"{}"))
        await store.put_text(make.key(), "a text")
        await store.start(make.start(ExecutionKey("other", "two")))
        task, _ = await hands.tasks(store, 2)
        await store.move_to_dead_letters(task, "failed", "")
        assert await everything(raw) == {
            "first": {
                kinds.EXECUTION: 2,  # the value of a key, and the input of the other tenant
                kinds.HISTORY: 2,
                kinds.MESSAGE: 1,
                kinds.TASK: 1,
                kinds.EVENT: 1,
                kinds.DEAD_LETTER: 1,
                kinds.SNAPSHOT: 1,
                kinds.TEXT: 1,
            }
        }
    async with opened(encrypting(adapter, keys("second", "first"))) as store, opened(adapter) as raw:
        await store.commit(make.commit(after=3, events=secret_events(1, after=3)))
        await raw.send("default", make.message(reason="plain"))
        found = await everything(raw)
        assert (found["second"], found[PLAIN]) == ({kinds.HISTORY: 1}, {kinds.MESSAGE: 1})


async def test_long_histories_are_counted_in_pieces(adapter, keys, make):
    async with opened(encrypting(adapter, keys("first"))) as store, opened(adapter) as raw:
        await store.start(make.start())
        for after in range(0, 500, 2):
            await store.commit(make.commit(after=after, events=secret_events(2, after=after)))
        pieces = [len(piece) async for piece in raw.stored_records()]
        assert max(pieces) <= 400
        assert (await everything(raw))["first"][RecordKind.HISTORY] == 500


async def test_services_tell_their_keys(store, adapter, keys, make):
    await store.start(make.start())
    async with opened(encrypting(adapter, keys("second"))) as locked:
        with pytest.raises(KeyMissing):
            await locked.receive_messages(make.second_worker, 10, 5.0)
        await store.heartbeat(make.worker)
        await locked.heartbeat(make.second_worker)
        [first, second] = await store.live_consumers()
    assert first.keys == PayloadKeys("first", ("first",))
    assert second.keys == PayloadKeys("second", ("second",), ("first",))


async def test_a_process_that_only_decrypts_writes_plain_payloads(store, adapter, keys, make):
    await store.start(make.start(input=PAYLOAD))
    await store.commit(make.commit(events=secret_events(1)))
    environment = {KEYS_VARIABLE: str(keys("first")), "UNSPOOL_ENCRYPTION_DECRYPT_ONLY": "true"}
    careful = EncryptedStore(adapter.make(adapter.clock), payloads_of(environment))
    await careful.open()
    await careful.commit(make.commit(after=1, events=secret_events(1, after=1)))
    assert await careful.history(make.key()) == list(secret_events())
    await careful.close()
    async with opened(adapter) as plain:
        first, second = await plain.history(make.key())
    assert SEALED in first.data
    assert second == secret_events()[1]
