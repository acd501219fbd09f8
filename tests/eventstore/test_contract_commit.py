"""The commit: all of a step or nothing of it, one winner among rivals (DESIGN §3, fault matrix I2, I3)."""

import asyncio
from dataclasses import replace

import pytest

from unspool.eventstore.consumers import Consumer
from unspool.eventstore.errors import NotFound
from unspool.eventstore.records import IndexUpdate, MessageKind, Status
from unspool.eventstore.results import Outcome


async def test_a_commit_makes_all_its_parts_true(store, make, hands):
    assert await store.start(make.start())
    [cause] = await hands.messages(store)
    key = cause.key
    task, message = make.task(), make.message(kind=MessageKind.CONTINUE)

    outcome = await store.commit(
        make.commit(
            key,
            count=3,
            tasks=(task,),
            messages=(message,),
            timers=(make.timer("t1", due_at=1),),
            index=IndexUpdate(Status.WAITING, started_at=2_000),
            acknowledges=(cause,),
        )
    )

    assert outcome is Outcome.COMMITTED
    assert await store.history(key) == [*make.events(3)]
    [requested] = await hands.tasks(store)
    assert (requested.tenant, requested.body, requested.attempts) == ("default", task, 1)
    [sent] = await hands.messages(store)
    assert sent.body == message
    assert (await store.fire_due_timers()).count == 1
    [fired] = await hands.messages(store)
    assert fired.body == make.message(kind=MessageKind.TIMER_FIRED, timer="t1")
    record = await store.execution(key)
    assert (record.version, record.status, record.started_at) == (3, Status.WAITING, 2_000)
    assert await store.reclaim_messages(make.second_worker, 100, 0) != []  # `sent` and `fired`, not `cause`
    assert cause.body not in [d.body for d in await store.reclaim_messages(make.worker, 100, 0)]


async def test_a_stale_commit_changes_nothing(store, make, hands):
    await store.start(make.start())
    [cause] = await hands.messages(store)
    key = cause.key
    await store.commit(make.commit(key, timers=(make.timer("kept", due_at=1),)))

    outcome = await store.commit(
        make.commit(
            key,
            commit_id="rival",
            tasks=(make.task(),),
            messages=(make.message(),),
            timers=(make.timer("t2", due_at=1),),
            timers_cancelled=("kept",),
            index=IndexUpdate(Status.FAULTED),
            acknowledges=(cause,),
        )
    )

    assert outcome is Outcome.CONFLICT
    assert len(await store.history(key)) == 1
    assert (await store.execution(key)).status is Status.PENDING
    assert await hands.nothing_waits(store)
    assert (await store.fire_due_timers()).count == 1
    [fired] = await hands.messages(store)
    assert fired.body.body == {"timer": "kept"}
    await store.release([cause])
    assert [d.body for d in await hands.messages(store)] == [cause.body]


async def test_a_commit_ahead_of_the_history_leaves_no_gap(store, make, hands):
    key = await hands.started(store)

    assert await store.commit(make.commit(key, after=2)) is Outcome.CONFLICT
    assert await store.history(key) == []


async def test_a_commit_sent_again_is_a_duplicate(store, make, hands):
    key = await hands.started(store)
    commit = make.commit(key, count=2, tasks=(make.task(),))

    assert await store.commit(commit) is Outcome.COMMITTED
    assert await store.commit(commit) is Outcome.DUPLICATE

    assert len(await store.history(key)) == 2
    await hands.tasks(store, 1)
    assert await hands.nothing_waits(store)


async def test_an_older_commit_sent_again_conflicts(store, make, hands):
    key = await hands.started(store)
    first = make.commit(key)
    await store.commit(first)
    await store.commit(make.commit(key, after=1))

    assert await store.commit(first) is Outcome.CONFLICT


async def test_a_commit_on_a_history_that_was_lost_conflicts(store, make, hands):
    """After a crash that lost the last commits, another commit may have led to the same version."""
    key = await hands.started(store)
    await store.commit(make.commit(key, commit_id="after the crash"))

    lost = make.commit(key, after=1, expected_commit="before the crash", tasks=(make.task(),))
    assert await store.commit(lost) is Outcome.CONFLICT
    assert len(await store.history(key)) == 1
    assert await hands.nothing_waits(store)

    assert (await store.execution(key)).commit_id == "after the crash"
    assert await store.commit(replace(lost, expected_commit="after the crash")) is Outcome.COMMITTED


async def test_a_commit_needs_an_execution(store, make):
    with pytest.raises(NotFound):
        await store.commit(make.commit(make.key("missing")))
    assert await store.history(make.key("missing")) == []


@pytest.mark.parametrize(("after", "count"), [(4, 0), (5, 1), (3, 2), (0, 1)])
def test_a_commit_whose_events_do_not_run_on_cannot_be_made(make, after, count):
    with pytest.raises(ValueError, match="from 5"):
        make.commit(after=4, events=make.events(count, after))


async def test_one_rival_wins(store, make, hands):
    key = await hands.started(store)

    outcomes = await asyncio.gather(
        *(store.commit(make.commit(key, commit_id=f"c{i}", tasks=(make.task(f"r{i}"),))) for i in range(20))
    )

    assert sorted(outcomes) == [Outcome.COMMITTED, *[Outcome.CONFLICT] * 19]
    [task] = await hands.tasks(store, 1)
    assert task.body.run == f"r{outcomes.index(Outcome.COMMITTED)}"
    assert await hands.nothing_waits(store)


async def test_a_failing_call_does_not_affect_others_of_its_batch(store, make, hands):
    keys = [make.key(f"e{i}") for i in range(6)]
    for key in keys:
        await hands.started(store, key)

    results = await asyncio.gather(
        *(store.commit(make.commit(key)) for key in keys[:3]),
        store.commit(make.commit(make.key("missing"))),
        *(store.commit(make.commit(key)) for key in keys[3:]),
        store.commit(make.commit(keys[0], commit_id="rival")),
        return_exceptions=True,
    )

    assert isinstance(results[3], NotFound)
    assert results[:3] + results[4:] == [*[Outcome.COMMITTED] * 6, Outcome.CONFLICT]
    assert [len(await store.history(key)) for key in keys] == [1] * 6


async def test_commits_made_together_have_an_outcome_each(store, make, hands):
    made, stale, again = (make.key(name) for name in ("made", "stale", "again"))
    for key in (made, stale, again):
        await hands.started(store, key)
    await store.commit(make.commit(stale))
    before = make.commit(again, tasks=(make.task("r9", execution="again"),))
    await store.commit(before)
    await hands.tasks(store)

    outcomes = await store.commit_all(
        [
            before,
            make.commit(make.key("missing"), tasks=(make.task(execution="missing"),)),
            make.commit(made, count=2),
            make.commit(stale, commit_id="rival", tasks=(make.task(execution="stale"),)),
        ]
    )

    assert outcomes == [Outcome.DUPLICATE, Outcome.MISSING, Outcome.COMMITTED, Outcome.CONFLICT]
    assert [len(await store.history(key)) for key in (made, stale, again)] == [2, 1, 1]
    assert await hands.nothing_waits(store)
    assert await store.commit_all([]) == []


async def test_each_of_many_commits_made_together_has_all_its_parts(store, make, hands):
    """So many that several share a shard, and of all shapes. Every fifth is refused, in any shard."""
    keys = [make.key(f"e{i}") for i in range(200)]
    for key in keys:
        await store.start(make.start(key))
    causes = {message.key: message for message in await hands.messages(store, len(keys))}
    refused = keys[2::5]

    def commit(i, key):
        return make.commit(
            key,
            after=7 if key in refused else 0,
            count=1 + i % 3,
            tasks=tuple(make.task(f"r{n}", ("http", "shell")[n % 2], key.id) for n in range(i % 4)),
            tasks_cancelled=("r0",) if i % 7 == 0 else (),
            messages=(make.message(key.id),) if i % 3 == 0 else (),
            timers=tuple(make.timer(f"t{n}") for n in range(i % 3)),
            timers_cancelled=("t0",) if i % 6 == 1 else (),
            index=IndexUpdate(Status.RUNNING, started_at=i) if i % 2 else None,
            acknowledges=(causes[key],),
        )

    commits = {key: commit(i, key) for i, key in enumerate(keys)}
    outcomes = await store.commit_all([*commits.values()])

    assert outcomes == [Outcome.CONFLICT if key in refused else Outcome.COMMITTED for key in keys]
    true = {key: made for key, made in commits.items() if key not in refused}
    for i, key in enumerate(keys):
        assert await store.history(key) == [*(true[key].events if key in true else ())]
        assert (await store.execution(key)).started_at == (i if key in true and i % 2 else None)
    wanted = [t for made in true.values() for t in made.tasks if t.run not in made.tasks_cancelled]
    everything = Consumer("executors", "x", frozenset({"http", "shell"}))
    handed_out = [task.body for task in await hands.tasks(store, len(wanted), everything)]
    assert sorted(handed_out, key=repr) == sorted(wanted, key=repr)
    set_ = sum(len(made.timers) - len(made.timers_cancelled) for made in true.values())
    assert (await store.fire_due_timers(1_000)).count == set_
    await hands.messages(store, set_ + sum(len(made.messages) for made in true.values()))
    await store.release([causes[key] for key in refused])
    assert {message.key for message in await hands.messages(store, len(refused))} == set(refused)


async def test_the_same_id_in_two_tenants_are_two_executions(store, make, hands):
    ours = await hands.started(store, make.key("one", "ours"))
    theirs = await hands.started(store, make.key("one", "theirs"))

    await store.commit(make.commit(ours, tasks=(make.task(),), timers=(make.timer(due_at=1),)))
    await store.commit(make.commit(theirs, tasks_cancelled=("r1",), timers_cancelled=("t1",)))

    [task] = await hands.tasks(store, 1)
    assert task.key == ours
    assert (await store.fire_due_timers()).count == 1
    assert (await hands.messages(store))[0].key == ours


async def test_tasks_that_one_commit_requests_and_cancels_are_cancelled(store, make, hands):
    key = await hands.started(store)

    await store.commit(
        make.commit(
            key,
            tasks=(make.task("r1"), make.task("r2")),
            tasks_cancelled=("r1",),
            timers=(make.timer("t1", due_at=1), make.timer("t2", due_at=1)),
            timers_cancelled=("t1", "never set"),
        )
    )

    [task] = await hands.tasks(store, 1)
    assert task.body.run == "r2"
    assert (await store.fire_due_timers()).count == 1
    [fired] = await hands.messages(store)
    assert fired.body.body == {"timer": "t2"}


async def test_a_cancelled_commit_is_made_completely_or_not_at_all(store, make, hands):
    key = await hands.started(store)
    calling = asyncio.ensure_future(store.commit(make.commit(key, tasks=(make.task(),))))
    await asyncio.sleep(0)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling

    outcome = await store.commit(make.commit(key, tasks=(make.task(),)))

    assert outcome in {Outcome.COMMITTED, Outcome.DUPLICATE}
    await hands.tasks(store, 1)
    assert await hands.nothing_waits(store)
