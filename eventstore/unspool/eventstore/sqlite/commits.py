"""The commit: applies one step of an execution in one transaction."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, Final, NamedTuple

from unspool.eventstore.errors import NotFound
from unspool.eventstore.events import encode_entry
from unspool.eventstore.records import (
    Commit,
    ExecutionKey,
    Message,
    MessageKind,
    Outgoing,
    PublishEvent,
    StartExecution,
)
from unspool.eventstore.results import Outcome
from unspool.eventstore.sqlite.connection_thread import Transaction
from unspool.eventstore.sqlite.dead_letters import CANCEL_DEAD_TASK
from unspool.eventstore.sqlite.histories import prepared_start
from unspool.eventstore.sqlite.inbox import REMOVE_MESSAGE
from unspool.eventstore.sqlite.mixin import INSERT_MESSAGE, NOW, StoreMixin, message_row
from unspool.eventstore.sqlite.notifications import INBOX, TIMERS, queue_topic
from unspool.eventstore.sqlite.subscriptions import prepared_change
from unspool.eventstore.sqlite.tags import prepared_tags
from unspool.eventstore.sqlite.tasks import INSERT_TASK, MARK_CANCELLED, REMOVE_WAITING_RUN, task_row
from unspool.eventstore.sqlite.timers import REMOVE_TIMER, SET_TIMER

_ADVANCE: Final = (
    "UPDATE executions SET version = ?, commit_id = ?, pending_input = NULL"
    " WHERE tenant = ? AND id = ? AND version = ? AND commit_id IS coalesce(?, commit_id)"
)
# A separate statement: an UPDATE that names the status rewrites an index even if the status is unchanged.
_ADVANCE_AND_INDEX: Final = (
    "UPDATE executions SET version = ?, commit_id = ?, pending_input = NULL, status = ?,"
    " started_at = coalesce(?, started_at), ended_at = CASE WHEN ? THEN coalesce(?, ended_at) END"
    " WHERE tenant = ? AND id = ? AND version = ? AND commit_id IS coalesce(?, commit_id)"
)
_APPEND: Final = "INSERT INTO history (tenant, execution, version, entry) VALUES (?, ?, ?, ?)"

_SEND: Final = (
    "INSERT INTO inbox (tenant, execution, kind, body, queued_at)"  # noqa: S608 - a constant
    f" SELECT tenant, id, ?, ?, {NOW} FROM executions WHERE tenant = ? AND id = ?"
)

_EVENTS_UP_TO: Final = (
    "SELECT count(*) FROM inbox WHERE tenant = ? AND execution = ? AND kind = 'event' AND id <= ?"
)

_EVENT: Final = MessageKind.EVENT

_Statement = tuple[str, list[tuple[Any, ...]]]


class _PreparedCommit(NamedTuple):
    """A commit as SQL statements."""

    commit: Commit
    advance: _Statement
    """Sets the execution's new version; it matches no row unless the version is the expected one."""
    statements: list[_Statement]
    topics: frozenset[Hashable]
    others: list[Callable[[Transaction], object]]
    """Changes that take more than a statement: of subscriptions, other executions and the event bus."""
    event_ids: list[int]
    """The `event` messages that it acknowledges."""

    def apply(self, transaction: Transaction) -> Outcome:
        if self.event_ids and not _are_in_inbox(transaction, self.event_ids):
            return _refusal(transaction, self.commit, Outcome.ANSWERED)
        if self.event_ids and _is_early(transaction, self.commit.key, self.event_ids):
            return _refusal(transaction, self.commit, Outcome.EARLY)
        sql, [parameters] = self.advance
        if not transaction.execute(sql, parameters).rowcount:
            return _refusal(transaction, self.commit, Outcome.CONFLICT)
        for sql, rows in self.statements:
            transaction.executemany(sql, rows)
        for change in self.others:
            change(transaction)
        transaction.topics |= self.topics
        return Outcome.COMMITTED


class SqliteCommits(StoreMixin):
    """The commits of the port's `Histories`."""

    async def commit_all(self, commits: Sequence[Commit]) -> list[Outcome]:
        """See `Histories`."""
        prepared_commits = [self._prepare(commit) for commit in commits]
        return await self._database.write(
            lambda transaction: [prepared.apply(transaction) for prepared in prepared_commits]
        )

    async def commit(self, commit: Commit) -> Outcome:
        """See `Histories`."""
        [outcome] = await self.commit_all([commit])
        if outcome is Outcome.MISSING:
            raise NotFound(f"no execution {commit.key.id}")
        return outcome

    async def deliver_outgoing(self) -> int:
        """See `Histories`. A commit delivers in its own transaction, so there is never anything to do."""
        return 0

    def _prepare(self, commit: Commit) -> _PreparedCommit:
        statements = [statement for statement in _statements(commit) if statement[1]]
        others = [self._prepare_outgoing(commit.key.tenant, each) for each in commit.outgoing]
        if commit.uses_subscriptions:
            retention = int(self._events.retention_seconds * 1000)
            others.append(prepared_change(commit, retention, self._database.clock))
        if commit.tags is not None:
            others.append(prepared_tags(commit.key, commit.tags))
        event_ids = [int(each.id) for each in commit.acknowledges if each.body.kind is _EVENT]
        return _PreparedCommit(commit, _advance(commit), statements, _topics(commit), others, event_ids)

    def _prepare_outgoing(self, tenant: str, outgoing: Outgoing) -> Callable[[Transaction], object]:
        if isinstance(outgoing, StartExecution):
            return prepared_start(outgoing.start)
        if isinstance(outgoing, PublishEvent):
            return self._publisher.prepared(tenant, [outgoing.event])
        return _prepared_send(tenant, outgoing.message)


def _prepared_send(tenant: str, message: Message) -> Callable[[Transaction], object]:
    _, execution, kind, body = message_row(tenant, message)

    def send(transaction: Transaction) -> None:
        if transaction.execute(_SEND, (kind, body, tenant, execution)).rowcount:
            transaction.topics.add(INBOX)

    return send


def _advance(commit: Commit) -> _Statement:
    moved = (commit.version, commit.commit_id)
    where = (*commit.key, commit.expected_version, commit.expected_commit)
    update = commit.index
    if update is None:
        return _ADVANCE, [(*moved, *where)]
    index = (update.status.value, update.started_at, update.status.ended, update.ended_at)
    return _ADVANCE_AND_INDEX, [(*moved, *index, *where)]


def _statements(commit: Commit) -> Iterator[_Statement]:
    tenant, execution = key = commit.key
    yield _APPEND, [(*key, commit.version, encode_entry(commit.events))]
    yield INSERT_TASK, [task_row(tenant, task) for task in commit.tasks]
    # After the inserts: a task that one commit both requests and cancels is cancelled.
    cancelled = [(tenant, execution, run) for run in commit.tasks_cancelled]
    yield REMOVE_WAITING_RUN, cancelled
    yield MARK_CANCELLED, cancelled
    yield CANCEL_DEAD_TASK, cancelled
    yield INSERT_MESSAGE, [message_row(tenant, message) for message in commit.messages]
    yield SET_TIMER, [(*key, timer.id, timer.due_at) for timer in commit.timers]
    yield REMOVE_TIMER, [(*key, timer) for timer in commit.timers_cancelled]
    yield REMOVE_MESSAGE, [(int(delivery.id),) for delivery in commit.acknowledges]


def _topics(commit: Commit) -> frozenset[Hashable]:
    topics: set[Hashable] = {commit.key}
    topics.update(queue_topic(task.queue) for task in commit.tasks)
    if commit.messages:
        topics.add(INBOX)
    if commit.timers:
        topics.add(TIMERS)
    return frozenset(topics)


def _are_in_inbox(transaction: Transaction, ids: Sequence[int]) -> bool:
    return all(transaction.execute("SELECT 1 FROM inbox WHERE id = ?", (id_,)).fetchone() for id_ in ids)


def _is_early(transaction: Transaction, key: ExecutionKey, ids: Sequence[int]) -> bool:
    """Whether the inbox has an earlier `event` message that is not among these."""
    [[count]] = transaction.execute(_EVENTS_UP_TO, (*key, max(ids))).fetchall()
    return bool(count > len(set(ids)))


def _refusal(transaction: Transaction, commit: Commit, reason: Outcome) -> Outcome:
    """Why a commit is refused: for this reason, or one that comes first."""
    row = transaction.execute(
        "SELECT version, commit_id FROM executions WHERE tenant = ? AND id = ?", commit.key
    ).fetchone()
    if row is None:
        return Outcome.MISSING
    version, commit_id = row
    if commit_id == commit.commit_id:
        return Outcome.DUPLICATE
    as_expected = version == commit.expected_version and commit.expected_commit in {None, commit_id}
    return reason if as_expected else Outcome.CONFLICT
