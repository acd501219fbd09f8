"""Dead letters: moved in one step, read, requeued unchanged (DESIGN §6, F34)."""

import asyncio
import time

import pytest

from unspool.eventstore.errors import NotFound
from unspool.eventstore.records import IndexUpdate, Status

NO_IDS = [
    "",
    "0",
    "1-0",
    "x",
    "0-1-1",
    "\ud800",
    "1" * 40,
    "-1",
    "' OR 1=1 --",
    "0" * 26,
    "../0",
    "01ARZ3NDEKTSV4RRFFQ69G5FAV",
]


async def dead_lettered(store, make, hands, **body):
    """Sends a message, receives it and moves it to the dead letter queue; returns the dead letter's id."""
    await store.send("default", make.message(**body))
    [delivery] = await hands.messages(store)
    return await store.move_to_dead_letters(delivery, "boom", "Traceback …")


async def test_a_message_is_moved_to_the_dead_letters(store, make, hands):
    await store.send("default", make.message(n=1))
    taken = await hands.messages(store)
    [second] = await hands.gather(1, lambda: store.reclaim_messages(make.second_worker, 10, 0))
    before = time.time() * 1000 - 1_000

    id_ = await store.move_to_dead_letters(second, "boom: ä", "Traceback\n  line")

    letter = await store.dead_letter("default", id_)
    assert (letter.id, letter.tenant, letter.body) == (id_, "default", make.message(n=1))
    assert (letter.error, letter.traceback, letter.attempts) == ("boom: ä", "Traceback\n  line", 2)
    assert before <= letter.moved_at <= time.time() * 1000 + 1_000
    assert (await store.dead_letters("default")).items == (letter,)
    await store.release([second])
    await store.deregister(make.second_worker)
    assert await hands.nothing_waits(store)
    assert len(taken) == 1


async def test_a_task_is_moved_and_requeued_unchanged(store, make, hands):
    task = make.task(deadline=9_000, arguments={"a": [None, 1.5]})
    await hands.requested(store, task)
    [delivery] = await hands.tasks(store)

    id_ = await store.move_to_dead_letters(delivery, "boom", "")
    assert await hands.nothing_waits(store)
    assert (await store.dead_letter("default", id_)).body == task

    assert await store.requeue("default", id_)
    [again] = await hands.tasks(store)
    assert (again.tenant, again.body, again.attempts) == ("default", task, 1)


async def test_a_requeued_message_comes_once_with_its_attempts_counted_anew(store, make, hands):
    id_ = await dead_lettered(store, make, hands, n=1)

    assert sorted(await asyncio.gather(*(store.requeue("default", id_) for _ in range(5)))) == [False] * 4 + [
        True
    ]

    [again] = await hands.messages(store)
    assert (again.body, again.attempts) == (make.message(n=1), 1)
    assert (await store.dead_letters("default")).items == ()
    assert await hands.nothing_waits(store)


async def test_requeue_wakes_a_waiting_consumer(store, make, hands):
    id_ = await dead_lettered(store, make, hands)
    receiving = asyncio.ensure_future(store.receive_messages(make.worker, 10, 60))
    await asyncio.wait([receiving], timeout=0.05)

    await store.requeue("default", id_)

    async with asyncio.timeout(25):
        assert len(await receiving) == 1


async def test_an_acknowledged_message_cannot_be_moved(store, make, hands):
    await store.send("default", make.message())
    [delivery] = await hands.messages(store)
    await store.acknowledge([delivery])

    with pytest.raises(NotFound):
        await store.move_to_dead_letters(delivery, "boom", "")
    assert (await store.dead_letters("default")).items == ()


async def test_a_discarded_letter_is_gone(store, make, hands):
    id_ = await dead_lettered(store, make, hands)

    assert await store.discard("default", id_)
    assert not await store.discard("default", id_)
    assert not await store.requeue("default", id_)
    assert await store.dead_letter("default", id_) is None
    assert await hands.nothing_waits(store)


async def test_letters_are_listed_oldest_first(store, make, hands):
    made = [await dead_lettered(store, make, hands, n=n) for n in range(5)]
    await store.send("default", make.message("two"))
    [of_two] = await hands.messages(store)
    made.append(await store.move_to_dead_letters(of_two, "boom", ""))

    assert [letter.id for letter in (await store.dead_letters("default")).items] == made
    assert [letter.id for letter in (await store.dead_letters("default", limit=2)).items] == made[:2]
    assert [letter.id for letter in (await store.dead_letters("default", execution="two")).items] == made[5:]
    assert (await store.dead_letters("default", execution="three")).items == ()


async def test_letters_come_in_pages(store, make, hands):
    made = [await dead_lettered(store, make, hands, n=n) for n in range(5)]
    page = await store.dead_letters("default", limit=2)
    found = [*page.items]
    assert await store.discard("default", made[1])  # the next page begins after it nevertheless
    while page.cursor is not None:
        page = await store.dead_letters("default", limit=2, cursor=page.cursor)
        found += page.items
    assert [letter.id for letter in found] == made
    assert (await store.dead_letters("default", limit=4)).cursor is None


@pytest.mark.parametrize("cursor", ["x", "-1", "1-2", "1-2-3-x", "9" * 40])
async def test_a_cursor_that_no_page_gave_is_refused(store, cursor):
    with pytest.raises(ValueError, match="cursor"):
        await store.dead_letters("default", cursor=cursor)


async def test_tenants_do_not_reach_each_others_letters(store, make, hands):
    id_ = await dead_lettered(store, make, hands)

    assert (await store.dead_letters("other")).items == ()
    assert await store.dead_letter("other", id_) is None
    assert not await store.requeue("other", id_)
    assert not await store.discard("other", id_)
    assert await store.dead_letter("default", id_) is not None


@pytest.mark.parametrize("id_", NO_IDS)
async def test_invalid_ids(store, id_):
    assert await store.dead_letter("default", id_) is None
    assert not await store.requeue("default", id_)
    assert not await store.discard("default", id_)


async def test_a_requeued_task_of_a_cancelled_run_is_not_delivered(store, make, hands):
    """It was cancelled after it became a dead letter, and its execution continues (F34)."""
    key = await hands.requested(store, make.task("r1"), make.task("r2"))
    letters = {
        delivery.body.run: await store.move_to_dead_letters(delivery, "boom", "")
        for delivery in await hands.tasks(store, 2)
    }
    await store.commit(make.commit(key, after=1, tasks_cancelled=("r1",)))

    assert await store.requeue("default", letters["r1"])
    assert await store.requeue("default", letters["r2"])

    assert [task.body.run for task in await hands.tasks(store)] == ["r2"]
    assert await hands.nothing_waits(store)
    assert (await store.dead_letters("default")).items == ()


async def test_a_requeued_task_that_was_cancelled_while_it_ran_is_not_delivered(store, make, hands):
    key = await hands.requested(store, make.task())
    [delivery] = await hands.tasks(store)
    await store.commit(make.commit(key, after=1, tasks_cancelled=("r1",)))
    id_ = await store.move_to_dead_letters(delivery, "boom", "")

    assert await store.requeue("default", id_)

    assert await hands.nothing_waits(store)


@pytest.mark.parametrize("status", [Status.CANCELLED, Status.FAULTED, Status.COMPLETED])
async def test_a_requeued_task_of_an_ended_execution_is_not_delivered(store, make, hands, status):
    key = await hands.requested(store, make.task())
    [delivery] = await hands.tasks(store)
    id_ = await store.move_to_dead_letters(delivery, "boom", "")
    await store.commit(make.commit(key, after=1, index=IndexUpdate(status, ended_at=3_000)))

    assert await store.requeue("default", id_)

    assert await hands.nothing_waits(store)
    assert await store.dead_letter("default", id_) is None


async def test_dead_letters_of_all_tenants_before_a_time(store, make, hands):
    for tenant in ("default", "other"):
        await store.start(make.start(make.key(tenant=tenant)))
    for delivery in await hands.messages(store, 2):
        await store.move_to_dead_letters(delivery, "bug", "trace")
    now = await store.now()

    assert await store.dead_letters_before(now - 60_000, 10) == []
    found = await store.dead_letters_before(now + 60_000, 10)
    assert sorted(letter.tenant for letter in found) == ["default", "other"]
    assert len(await store.dead_letters_before(now + 60_000, 1)) == 1
    for letter in found:
        assert await store.discard(letter.tenant, letter.id)
    assert await store.dead_letters_before(now + 60_000, 10) == []
