"""Events on Redis with lost replies, cut connections and a Redis that is killed."""

import asyncio
from collections import defaultdict

import pytest
from tests.background import repeating
from tests.eventstore.conftest import PATIENT, keys_of
from tests.eventstore.test_redis_faults import direct, persist, proxied, proxy

from unspool.eventstore.errors import StoreError
from unspool.eventstore.records import MessageKind, PublishEvent
from unspool.eventstore.redis import scripts
from unspool.eventstore.redis.settings import RedisSettings
from unspool.eventstore.redis.store import RedisStore
from unspool.eventstore.results import Outcome

__all__ = ["direct", "proxied", "proxy"]  # fixtures

RUNS = 4
EVENTS = 60


async def received(hands, store, count):
    """The ids of the events of each execution, in order."""
    by_execution = defaultdict(list)
    for execution, _, id_ in await hands.events(store, count):
        by_execution[execution].append(id_)
    return by_execution


async def test_events_are_published_once_when_the_reply_is_lost(proxied, proxy, make):
    await proxied.publish("default", [make.event("first")])
    proxy.lose_the_reply_to(scripts.PUBLISH.sha.encode())

    await persist(lambda: proxied.publish("default", [make.event("a"), make.event("b")]))

    assert proxy.losses == 1
    published = await proxied.published_events("default")
    assert [each.event["id"] for each in published] == ["first", "a", "b"]


async def test_events_of_a_commit_are_published_once_when_the_reply_is_lost(proxied, proxy, make, hands):
    key = await hands.started(proxied)
    await proxied.commit(make.commit(key, outgoing=(PublishEvent(make.event("first")),)))
    proxy.lose_the_reply_to(scripts.PUBLISH.sha.encode())

    again = make.commit(key, after=1, outgoing=(PublishEvent(make.event("a")),))
    assert await proxied.commit(again) in {Outcome.COMMITTED, Outcome.DUPLICATE}
    await persist(proxied.deliver_outgoing)

    assert proxy.losses == 1
    published = await proxied.published_events("default")
    assert [each.event["id"] for each in published] == ["first", "a"]


@pytest.mark.parametrize("script", [scripts.MATCH, scripts.SETTLE], ids=["match", "settle"])
async def test_events_are_sent_once_when_the_reply_to_their_match_is_lost(
    proxied, proxy, direct, make, hands, script
):
    for n in range(RUNS):
        await hands.subscribed(direct, make.subscription(), key=make.key(f"x{n}"))
    await proxied.publish("default", [make.event("first")])
    await hands.matched(proxied)
    await proxied.publish("default", [make.event("a"), make.event("b")])
    batch = await proxied.receive_events(make.worker, 10, 1)
    proxy.lose_the_reply_to(script.sha.encode())

    await persist(lambda: proxied.match(batch, keys_of))

    assert proxy.losses == 1
    assert await hands.matched(proxied) == 0
    assert set(map(tuple, (await received(hands, direct, 3 * RUNS)).values())) == {("first", "a", "b")}
    await proxied.publish("default", [make.event("c")])
    assert await hands.matched(proxied) == RUNS


async def test_a_batch_in_a_lost_reply_is_received_again(proxied, proxy, make, hands):
    await hands.subscribed(proxied, make.subscription())
    await proxied.publish("default", [make.event("first")])
    await hands.matched(proxied)
    await proxied.publish("default", [make.event("a"), make.event("b")])
    proxy.lose_the_reply_to(scripts.RECEIVE_EVENTS.sha.encode())

    batch = await persist(lambda: proxied.receive_events(make.worker, 10, 5))

    assert proxy.losses == 1
    assert [each.event["id"] for each in batch.events] == ["a", "b"]
    assert await proxied.match(batch, keys_of) == 2


@pytest.mark.timeout(120)
@pytest.mark.parametrize("fault", ["cut", "killed"])
async def test_each_run_gets_each_event_once_and_in_order(own_redis, make, hands, fault):
    """Two stores match while connections are cut, or Redis is killed."""
    stores = [RedisStore(own_redis.url, PATIENT) for _ in range(3)]
    for store in stores:
        await store.open()
    publisher, *matchers = stores
    for n in range(RUNS):
        await hands.subscribed(publisher, make.subscription(), key=make.key(f"x{n}"))

    async def publish() -> None:
        for n in range(EVENTS):
            await persist(lambda n=n: publisher.publish("default", [make.event(f"e{n}")]))
            await asyncio.sleep(0.02)

    async def match(store: RedisStore, consumer) -> None:
        while True:
            batch = await persist(lambda: store.receive_events(consumer, 7, 0.1))
            if batch is not None:
                await persist(lambda batch=batch: store.match(batch, keys_of))

    async def break_it() -> None:
        for _ in range(3 if fault == "killed" else 30):
            await asyncio.sleep(0.3 if fault == "killed" else 0.03)
            if fault == "killed":
                await asyncio.to_thread(own_redis.kill)
                await asyncio.to_thread(own_redis.start)
            else:
                with own_redis.admin as admin:
                    await asyncio.to_thread(admin.client_kill_filter, _type="normal")

    consumers = (make.worker, make.second_worker)
    async with repeating(*map(match, matchers, consumers)):
        await asyncio.gather(publish(), break_it())

    async def all_matched() -> bool:
        fields = ("unspool:{default:bus}:state", "newest", "matched")
        newest, matched = await persist(lambda: publisher._session.call("HMGET", *fields))
        return newest == matched

    async with asyncio.timeout(60):  # one of the two may still hold events
        while not await all_matched():
            for store, consumer in zip(matchers, consumers, strict=True):
                await persist(lambda store=store, consumer=consumer: hands.matched(store, consumer))

    found = await persist(lambda: received(hands, publisher, RUNS * EVENTS))
    assert dict(found) == {f"x{n}": [f"e{n}" for n in range(EVENTS)] for n in range(RUNS)}
    for store in stores:
        await store.close()


async def test_a_full_memory_publishes_and_sends_nothing_in_part(own_redis, make, hands):
    store = RedisStore(own_redis.url, RedisSettings())
    await store.open()
    key = await hands.subscribed(store, make.subscription())
    await store.publish("default", [make.event("a")])
    batch = await store.receive_events(make.worker, 10, 0)
    with own_redis.admin as admin:
        admin.config_set("maxmemory", 1)
        with pytest.raises(StoreError):
            await store.publish("default", [make.event("b")])
        with pytest.raises(StoreError):
            await store.match(batch, keys_of)
        admin.config_set("maxmemory", 0)

    assert await store.publish("default", [make.event("b")]) == 1
    assert await store.match(batch, keys_of) + await hands.matched(store) == 2
    messages = await hands.messages(store, 2)
    assert [(each.key, each.body.kind, each.body.body["event"]["id"]) for each in messages] == [
        (key, MessageKind.EVENT, "a"),
        (key, MessageKind.EVENT, "b"),
    ]
    await store.close()
