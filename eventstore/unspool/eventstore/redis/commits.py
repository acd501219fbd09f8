"""Commits: one script call for all commits of one shard."""

from collections.abc import Sequence
from typing import Any, Final

from redis.exceptions import ResponseError
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_random_exponential

from unspool.eventstore.consumers import EXECUTORS, WORKERS
from unspool.eventstore.errors import NotFound, StoreError, StoreUnavailable
from unspool.eventstore.events import encode_entry
from unspool.eventstore.records import Commit, IndexUpdate
from unspool.eventstore.redis import keys, scripts
from unspool.eventstore.redis.batched_calls import by_shard
from unspool.eventstore.redis.codec import (
    encode_message,
    encode_outgoing,
    encode_tags,
    encode_task,
    encode_timer,
)
from unspool.eventstore.redis.failures import as_store_error
from unspool.eventstore.redis.keys import Shard
from unspool.eventstore.redis.outbox import Outbox
from unspool.eventstore.redis.session import Session, log
from unspool.eventstore.redis.socket_connection import Argument
from unspool.eventstore.redis.subscriptions import (
    event_arguments,
    event_keys,
    has_events,
)
from unspool.eventstore.results import Outcome

_MAX_STEPS: Final = 64

_OUTCOMES: Final = {
    1: Outcome.COMMITTED,
    0: Outcome.CONFLICT,
    2: Outcome.DUPLICATE,
    3: Outcome.ANSWERED,
    4: Outcome.EARLY,
    -1: Outcome.MISSING,
}
_APPLIED: Final = frozenset({1, 2})
_NO_INDEX: Final = ("",)
_TAGS: Final = "tags"


class RedisCommits:
    """The commits of the store."""

    _session: Session

    def __init__(self) -> None:
        self._outbox = Outbox(self._session)

    async def deliver_outgoing(self) -> int:
        """See `Histories`."""
        return await self._outbox.deliver_left()

    async def commit(self, commit: Commit) -> Outcome:
        """See `Histories`."""
        [outcome] = await self.commit_all([commit])
        if outcome is Outcome.MISSING:
            raise NotFound(f"there is no execution {commit.key.id}")
        return outcome

    async def commit_all(self, commits: Sequence[Commit]) -> list[Outcome]:
        """See `Histories`."""
        outcomes = await by_shard(
            self._session.keys,
            [commit.key for commit in commits],
            _MAX_STEPS,
            lambda shard, indexes: self._run(shard, [commits[index] for index in indexes]),
        )
        if Outcome.MISSING in outcomes:  # unusual: perhaps Redis was emptied
            await self._session.check_identity(self._session.call)
        return outcomes

    async def _run(self, shard: Shard, commits: list[Commit]) -> list[Outcome]:
        """Runs the script for commits of one shard."""
        retention = self._session.retention
        names, values = _call(shard, commits, retention)
        try:
            answers = await self._session.run(scripts.COMMIT, names, values)
        except StoreUnavailable:
            answers = await self._retry(names, values)
        if any(commit.tasks for commit in commits):
            self._session.announce(EXECUTORS, (shard,))
        if any(commit.messages for commit in commits):
            self._session.announce(WORKERS, (shard,))
        if retention and any(each.look_back for commit in commits for each in commit.subscriptions):
            self._session.post("PUBLISH", keys.PUBLISHED_CHANNEL, shard.tenant)
        if any(commit.outgoing for commit in commits):
            await self._deliver(shard, commits, answers)
        return [_outcome(answer) for answer in answers]

    async def _deliver(self, shard: Shard, commits: Sequence[Commit], answers: Sequence[Any]) -> None:
        """Delivers the outgoing parts of commits. If this fails, `deliver_outgoing` delivers them later."""
        applied = [
            (answer, commit.outgoing)
            for commit, answer in zip(commits, answers, strict=True)
            if commit.outgoing and (isinstance(answer, bytes) or answer in _APPLIED)
        ]
        try:
            if all(isinstance(answer, bytes) for answer, _ in applied):  # nothing else is in the outbox
                await self._outbox.deliver(shard, applied)
            else:
                await self._outbox.drain(shard)
        except StoreError as error:
            log.warning("outgoing messages are delayed: %s", error, extra={"action": "outgoing_delayed"})

    async def _retry(self, names: list[str], values: list[Argument]) -> Any:
        """Retries commits whose connection broke. Their ids show whether they were applied before."""
        attempts = AsyncRetrying(
            retry=retry_if_exception(self._can_retry),
            stop=stop_after_delay(self._session.settings.commit_seconds),
            wait=wait_random_exponential(multiplier=0.05, max=1.0),
            reraise=True,
        )
        return await attempts(self._session.run, scripts.COMMIT, names, values)

    def _can_retry(self, error: BaseException) -> bool:
        return isinstance(error, StoreUnavailable) and not self._session.closed


def _outcome(answer: Any) -> Outcome:
    if isinstance(answer, bytes):  # the id of its outbox entry
        return Outcome.COMMITTED
    if isinstance(answer, ResponseError):
        raise as_store_error(answer)
    return _OUTCOMES[answer]


def _call(shard: Shard, commits: Sequence[Commit], retention: int) -> tuple[list[str], list[Argument]]:
    """Keys and arguments of the commit script; `commit.lua` documents them."""
    names = [shard.inbox, shard.timers, shard.cancelled, *shard.statuses, shard.dlq_runs, shard.ended]
    queues = dict.fromkeys([task.queue for commit in commits for task in commit.tasks])
    numbers = {queue: number for number, queue in enumerate(queues, len(names) + 1)}
    names += [shard.tasks(queue) for queue in queues]
    if any(commit.outgoing for commit in commits):
        names.append(shard.outbox)
    outbox = len(names)
    with_events = [has_events(commit) for commit in commits]
    if any(with_events):
        names += event_keys(shard)
    tags = _add_tag_keys(shard, commits, names)
    values: list[Argument] = [len(names) + 1, shard.notifications, keys.TIMERS_CHANNEL, shard.topic]
    for commit, has_any in zip(commits, with_events, strict=True):
        id_ = commit.key.id
        names += (shard.execution(id_), shard.history(id_))
        if commit.expected_version == 0:
            names.append(shard.input(id_))
        is_short = commit.tags is None and not commit.outgoing and not has_any
        step = [*_step(commit), *_lists(commit, numbers, is_short=is_short)]
        if commit.tags is not None:
            step += (_TAGS, encode_tags(commit.tags.after), *tags[id_])
        if commit.outgoing:
            step += (outbox, encode_outgoing(commit.outgoing))
        if has_any:
            step += event_arguments(commit, outbox + 1, retention)
            values.append(-len(step))
        else:
            values.append(len(step))
        values += step
    return names, values


def _add_tag_keys(
    shard: Shard, commits: Sequence[Commit], names: list[str]
) -> dict[str, tuple[int, int, int]]:
    """Adds the indexes of changed tags to the keys.

    Returns, by execution, the number of its first one, and how many it leaves and enters.
    """
    places: dict[str, tuple[int, int, int]] = {}
    for commit in commits:
        if commit.tags is not None:
            before, after = commit.tags.before.items(), commit.tags.after.items()
            left, entered = sorted(before - after), sorted(after - before)
            places[commit.key.id] = len(names) + 1, len(left), len(entered)
            names += [shard.tag(*tag) for tag in (*left, *entered)]
    return places


def _step(commit: Commit) -> list[Argument]:
    """The arguments of one commit that are not lists."""
    return [
        commit.expected_version,
        commit.expected_commit or "",
        commit.version,
        commit.commit_id,
        encode_entry(commit.events),
        commit.key.id,
        *_index(commit.index),
    ]


def _lists(commit: Commit, queues: dict[str, int], *, is_short: bool) -> list[Argument]:
    """The lists of one commit, each after its length. Nothing follows those of a short one."""
    id_ = commit.key.id
    values: list[Argument] = [len(commit.acknowledges), *[delivery.id for delivery in commit.acknowledges]]
    values.append(len(commit.tasks))
    for task in commit.tasks:
        values += (queues[task.queue], task.idempotency_key, encode_task(task))
    if is_short and not (
        commit.messages or commit.timers or commit.timers_cancelled or commit.tasks_cancelled
    ):
        return values  # the script needs no empty lists at the end
    values.append(len(commit.messages))
    for message in commit.messages:
        values.append(encode_message(message))
    values.append(len(commit.timers))
    for timer in commit.timers:
        values += (timer.due_at, encode_timer(id_, timer.id))
    values.append(len(commit.timers_cancelled))
    for timer_id in commit.timers_cancelled:
        values.append(encode_timer(id_, timer_id))
    values.append(len(commit.tasks_cancelled))
    for run in commit.tasks_cancelled:
        values.append(f"{id_}/{run}")
    return values


def _index(update: IndexUpdate | None) -> tuple[Argument, ...]:
    if update is None:
        return _NO_INDEX
    started, ended = update.started_at, update.ended_at
    return (update.status, "" if started is None else started, "" if ended is None else ended)
