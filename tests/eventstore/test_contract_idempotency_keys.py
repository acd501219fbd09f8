"""Idempotency keys: at most one execution has a key."""

import asyncio

import pytest

from unspool.eventstore.idempotency_keys import EndedHolder, IdempotencyKey
from unspool.eventstore.records import StartExecution

KEY = IdempotencyKey("default", "shop", "sync", "sync:7:full")


async def test_the_first_execution_that_claims_a_key_has_it(store):
    assert await store.claim_key(KEY, "one") == "one"
    assert await store.claim_key(KEY, "two") == "one"
    assert await store.claim_key(KEY, "one") == "one"


@pytest.mark.parametrize("member", ["tenant", "namespace", "name", "value"])
async def test_keys_of_other_tenants_workflows_and_values_are_others(store, member):
    await store.claim_key(KEY, "one")

    assert await store.claim_key(KEY._replace(**{member: "other"}), "two") == "two"


async def test_one_of_many_claims_wins(store, other):
    for n in range(20):
        key = KEY._replace(value=f"sync:{n}")
        claims = [(store, other)[n % 2].claim_key(key, f"e{n}") for n in range(20)]
        holders = await asyncio.gather(*claims)
        assert len(set(holders)) == 1


async def test_only_the_execution_that_has_a_key_can_lose_it(store):
    await store.claim_key(KEY, "one")

    assert await store.claim_key(KEY, "two", EndedHolder("absent", 9)) == "one"
    assert await store.claim_key(KEY, "two", EndedHolder("one", 9)) == "two"
    assert await store.claim_key(KEY, "three", EndedHolder("one", 9)) == "two"


async def test_one_of_many_takes_the_key_of_an_execution_that_ended(store):
    await store.claim_key(KEY, "one")

    claims = [store.claim_key(KEY, f"e{n}", EndedHolder("one", 9)) for n in range(20)]
    [holder] = set(await asyncio.gather(*claims))

    assert holder != "one"


async def test_an_execution_that_continues_keeps_its_key_until_it_ends_again(store):
    await store.claim_key(KEY, "one")

    assert await store.keep_key(KEY, "one", 9)
    assert await store.keep_key(KEY, "one", 5)
    assert await store.claim_key(KEY, "two", EndedHolder("one", 9)) == "one"
    assert await store.claim_key(KEY, "two", EndedHolder("one", 12)) == "two"
    assert await store.claim_key(KEY, "three", EndedHolder("two", 1)) == "three"


async def test_an_execution_without_the_key_cannot_keep_it(store):
    await store.claim_key(KEY, "one")

    assert not await store.keep_key(KEY, "two", 9)
    assert await store.claim_key(KEY, "two", EndedHolder("one", 9)) == "two"


async def test_an_execution_can_keep_a_key_that_no_execution_has(store):
    assert await store.keep_key(KEY, "one", 9)
    assert await store.claim_key(KEY, "two", EndedHolder("one", 9)) == "one"


async def test_a_started_execution_knows_its_key(store, make, hands):
    key = await hands.started(store)
    assert (await store.execution(key)).idempotency_key is None

    child = make.start(make.key("child"), idempotency_key="sync:ü")
    await store.commit(make.commit(key, outgoing=(StartExecution(child),)))
    await store.start(make.start(make.key("direct"), idempotency_key="sync:ü"))

    for id_ in ("child", "direct"):
        assert (await store.execution(make.key(id_))).idempotency_key == "sync:ü"
        [loaded] = await store.load([make.key(id_)], 10)
        assert loaded.record.idempotency_key == "sync:ü"
    for delivery in await hands.messages(store, 2):
        assert delivery.body.body["idempotencyKey"] == "sync:ü"
