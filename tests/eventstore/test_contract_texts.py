"""Texts by their hash: stored once, for one tenant, and checked when they are read (inventory L5, R5)."""

import asyncio
import hashlib

import pytest

TEXTS = ["", "set: 1\n", "ä😀 \r\n\0 end ", "x" * 3_000_000, "large " * 4_000_000]


@pytest.mark.parametrize("text", TEXTS, ids=len)
async def test_a_text_is_found_by_its_hash(store, text):
    sha256 = await store.put_text("default", text)

    assert sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert await store.text("default", sha256) == text


async def test_to_store_a_text_again_changes_nothing(store):
    first = await store.put_text("default", "set: 1")
    other = await store.put_text("default", "set: 2")

    assert await store.put_text("default", "set: 1") == first != other
    assert await store.text("default", first) == "set: 1"
    assert await store.text("default", other) == "set: 2"


async def test_a_tenant_has_its_own_texts(store):
    sha256 = await store.put_text("a", "set: 1")

    assert await store.text("b", sha256) is None


async def test_a_text_that_is_not_stored_is_none(store):
    assert await store.text("default", "0" * 64) is None


async def test_other_stores_on_the_database_see_a_text(store, other):
    sha256 = await store.put_text("default", "set: 1")

    assert await other.text("default", sha256) == "set: 1"


async def test_several_stores_can_store_a_text_at_once(store, other):
    found = await asyncio.gather(*(each.put_text("default", "x" * 10_000) for each in (store, other) * 10))

    assert len(set(found)) == 1
    assert await other.text("default", found[0]) == "x" * 10_000
