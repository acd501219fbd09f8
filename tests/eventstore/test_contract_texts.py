"""Texts by their hash: stored once, for one tenant, and checked when they are read (inventory L5, R5).

A text stays while an execution may use it; see `tests/timer_service/test_text_retention.py`.
"""

import asyncio
import hashlib

import pytest

from unspool.eventstore.records import IndexUpdate, Status
from unspool.eventstore.texts import TextUse

TEXTS = ["", "set: 1\n", "ä😀 \r\n\0 end ", "x" * 3_000_000, "large " * 4_000_000]
HOUR = 3_600_000
LATER = 100 * HOUR


@pytest.fixture
def user(store, make):
    """Starts an execution that uses texts."""

    async def start(id_="one", tenant="default", **changes):
        key = make.key(id_, tenant)
        await store.start(make.start(key, **changes))
        return key

    return start


@pytest.mark.parametrize("text", TEXTS, ids=len)
async def test_a_text_is_found_by_its_hash(store, user, text):
    sha256 = await store.put_text(await user(), text)

    assert sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert await store.text("default", sha256) == text


async def test_to_store_a_text_again_changes_nothing(store, user):
    key = await user()
    first = await store.put_text(key, "set: 1")
    other = await store.put_text(key, "set: 2")

    assert await store.put_text(key, "set: 1") == first != other
    assert await store.text("default", first) == "set: 1"
    assert await store.text("default", other) == "set: 2"


async def test_a_tenant_has_its_own_texts(store, user):
    sha256 = await store.put_text(await user(tenant="a"), "set: 1")

    assert await store.text("b", sha256) is None


async def test_a_text_that_is_not_stored_is_none(store):
    assert await store.text("default", "0" * 64) is None


async def test_other_stores_on_the_database_see_a_text(store, other, user):
    sha256 = await store.put_text(await user(), "set: 1")

    assert await other.text("default", sha256) == "set: 1"


async def test_several_stores_can_store_a_text_at_once(store, other, user):
    key = await user()
    found = await asyncio.gather(*(each.put_text(key, "x" * 10_000) for each in (store, other) * 10))

    assert len(set(found)) == 1
    assert await other.text("default", found[0]) == "x" * 10_000


async def test_nothing_is_stored_for_an_execution_that_is_not_stored(store, make):
    sha256 = await store.put_text(make.key(), "set: 1")

    assert await store.text("default", sha256) is None
    assert await store.texts_before(LATER, 10) == []


# -- what is known of its use


async def only(store):
    [text] = await store.texts_before(LATER, 10)
    return text


async def test_the_uses_of_a_text_are_noted_by_workflow_and_hour_of_creation(store, user, make):
    other = make.workflow._replace(name="other", version="2.0.0")
    keys = [await user(str(at), created_at=at) for at in (5 * HOUR, 5 * HOUR + 1, 7 * HOUR - 1, 3 * HOUR)]
    keys.append(await user("other", workflow=other, created_at=9 * HOUR + 1))
    [sha256] = {await store.put_text(key, "set: 1") for key in keys}

    text = await only(store)
    assert (text.tenant, text.sha256, text.unused_since) == ("default", sha256, None)
    assert text.uses == (
        TextUse("shop/order", 3 * HOUR, 7 * HOUR),
        TextUse("shop/other", 9 * HOUR, 10 * HOUR),
    )


async def test_a_use_lists_the_executions_that_it_means(store, user, make):
    other = make.workflow._replace(name="other")
    await user("early", created_at=4 * HOUR)
    await user("other", workflow=other, created_at=5 * HOUR)
    await store.put_text(await user("one", created_at=5 * HOUR + 1), "set: 1")

    [use] = (await only(store)).uses
    page = await store.executions("default", use.executions)
    assert [record.key.id for record in page.items] == ["one"]


async def test_a_new_text_is_due_at_once_and_later_ones_when_that_is_set(store, user):
    key = await user()
    await store.put_text(key, "set: 1")
    await store.look_at_text_again(await only(store), 500, None)
    await store.put_text(key, "set: 1")

    assert await store.texts_before(500, 10) == []
    assert len(await store.texts_before(501, 10)) == 1


async def test_some_of_many_texts_are_found(store, user):
    keys = [await user(tenant=f"t{n}") for n in range(3)]
    for key in keys:
        for n in range(3):
            await store.put_text(key, f"set: {n}")

    assert len(await store.texts_before(LATER, 2)) == 2
    assert len({text[:2] for text in await store.texts_before(LATER, 100)}) == 9


# -- deletion


async def noted(store, at=700):
    """Notes that the only text is unused; returns what is known of it then."""
    await store.look_at_text_again(await only(store), at, at)
    return await only(store)


async def test_a_text_that_was_noted_as_unused_is_deleted(store, user):
    sha256 = await store.put_text(await user(), "set: 1")
    text = await noted(store)
    assert text.unused_since == 700

    assert await store.drop_text(text)
    assert await store.text("default", sha256) is None
    assert await store.texts_before(LATER, 10) == []
    assert not await store.drop_text(text)


async def test_a_text_that_was_not_noted_is_not_deleted(store, user):
    sha256 = await store.put_text(await user(), "set: 1")

    assert not await store.drop_text(await only(store))
    assert await store.text("default", sha256) == "set: 1"


async def test_a_use_after_the_note_prevents_the_deletion(store, other, user):
    """Also if that use was noted already: the process that deletes may not have seen its execution."""
    key = await user()
    sha256 = await store.put_text(key, "set: 1")
    text = await noted(store)
    await other.put_text(key, "set: 1")

    assert not await store.drop_text(text)
    assert (await only(store)).unused_since is None
    assert await store.text("default", sha256) == "set: 1"


async def test_a_text_that_is_used_after_its_deletion_is_stored_again(store, user):
    key = await user()
    await store.put_text(key, "set: 1")
    text = await noted(store)
    await store.drop_text(text)
    sha256 = await store.put_text(key, "set: 1")
    await store.look_at_text_again(text, 900, None)

    assert await store.text("default", sha256) == "set: 1"
    assert len((await only(store)).uses) == 1


async def test_a_look_at_a_text_that_is_deleted_leaves_nothing(store, user):
    await store.put_text(await user(), "set: 1")
    text = await noted(store)
    await store.drop_text(text)
    await store.look_at_text_again(text, 900, 900)

    assert await store.texts_before(LATER, 10) == []


async def test_an_execution_that_is_deleted_leaves_no_use(store, user, make):
    key = await user()
    await store.put_text(key, "set: 1")
    await store.commit(make.commit(key, index=IndexUpdate(Status.COMPLETED, ended_at=9)))
    await store.drop([await store.execution(key)])

    [use] = (await only(store)).uses
    assert (await store.executions("default", use.executions)).items == ()
