"""The commit: one step of an execution made true, in one transaction."""

from collections.abc import Hashable, Iterator
from typing import Any, Final

from unspool.eventstore.errors import NotFound
from unspool.eventstore.events import encode_entry
from unspool.eventstore.records import Commit, Outcome
from unspool.eventstore.sqlite.facet import INSERT_MESSAGE, Facet, message_row
from unspool.eventstore.sqlite.inbox import REMOVE_MESSAGE
from unspool.eventstore.sqlite.lane import Transaction
from unspool.eventstore.sqlite.tasks import INSERT_TASK, MARK_CANCELLED, REMOVE_WAITING_RUN, task_row
from unspool.eventstore.sqlite.timers import REMOVE_TIMER, SET_TIMER
from unspool.eventstore.sqlite.wakeups import INBOX, TIMERS, queue_topic

_ADVANCE: Final = (
    "UPDATE executions SET version = ?, commit_id = ?, pending_input = NULL"
    " WHERE tenant = ? AND id = ? AND version = ?"
)
# A statement of its own: one that names the status rewrites an index, changed or not.
_ADVANCE_AND_INDEX: Final = (
    "UPDATE executions SET version = ?, commit_id = ?, pending_input = NULL, status = ?,"
    " started_at = coalesce(?, started_at), ended_at = CASE WHEN ? THEN coalesce(?, ended_at) END"
    " WHERE tenant = ? AND id = ? AND version = ?"
)
_APPEND: Final = "INSERT INTO history (tenant, execution, version, entry) VALUES (?, ?, ?, ?)"

_Statement = tuple[str, list[tuple[Any, ...]]]


class SqliteCommits(Facet):
    """The port's `commit`."""

    async def commit(self, commit: Commit) -> Outcome:
        """Makes one step of an execution true.

        Raises:
            NotFound: there is no such execution.
        """
        advance, parameters = _advance(commit)
        statements = [statement for statement in _statements(commit) if statement[1]]
        topics = _topics(commit)

        def make_true(transaction: Transaction) -> Outcome:
            if not transaction.execute(advance, parameters).rowcount:
                return _refusal(transaction, commit)
            for sql, rows in statements:
                transaction.executemany(sql, rows)
            transaction.news |= topics
            return Outcome.COMMITTED

        return await self._database.write(make_true)


def _advance(commit: Commit) -> tuple[str, tuple[Any, ...]]:
    """The statement that moves the execution on, and finds no row unless it is where it is expected."""
    moved = (commit.version, commit.commit_id)
    where = (*commit.key, commit.expected_version)
    update = commit.index
    if update is None:
        return _ADVANCE, (*moved, *where)
    index = (update.status.value, update.started_at, update.status.ended, update.ended_at)
    return _ADVANCE_AND_INDEX, (*moved, *index, *where)


def _statements(commit: Commit) -> Iterator[_Statement]:
    tenant, execution = key = commit.key
    yield _APPEND, [(*key, commit.version, encode_entry(commit.events))]
    yield INSERT_TASK, [task_row(tenant, task) for task in commit.tasks]
    # After the inserts: what one step both asks for and cancels is cancelled.
    cancelled = [(tenant, execution, run) for run in commit.tasks_cancelled]
    yield REMOVE_WAITING_RUN, cancelled
    yield MARK_CANCELLED, cancelled
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


def _refusal(transaction: Transaction, commit: Commit) -> Outcome:
    row = transaction.execute(
        "SELECT commit_id FROM executions WHERE tenant = ? AND id = ?", commit.key
    ).fetchone()
    if row is None:
        raise NotFound(f"no execution {commit.key.id}")
    return Outcome.DUPLICATE if row == (commit.commit_id,) else Outcome.CONFLICT
