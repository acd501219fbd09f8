"""Executions and their histories, with encrypted payloads."""

from collections.abc import Sequence
from dataclasses import replace

from unspool.eventstore.encryption.missing_keys import MissingKeys
from unspool.eventstore.encryption.payloads import SEALED, Payloads
from unspool.eventstore.errors import KeyMissing, StoreError
from unspool.eventstore.events import Event
from unspool.eventstore.listing import ExecutionFilter, Page
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import (
    Commit,
    ExecutionKey,
    ExecutionRecord,
    Loaded,
    Outgoing,
    PublishEvent,
    SendMessage,
    Snapshot,
    Start,
    StartExecution,
)
from unspool.eventstore.results import Outcome


class EncryptedHistories:
    """The port's `Histories`, and the records of `Retention`."""

    _inner: EventStore
    _payloads: Payloads
    _missing: MissingKeys

    async def start(self, start: Start) -> bool:
        """See `Histories`."""
        return await self._inner.start(self._sealed_start(start))

    async def commit_all(self, commits: Sequence[Commit]) -> list[Outcome]:
        """See `Histories`."""
        if self._payloads.encrypts or any(map(_may_look_sealed, commits)):
            commits = [self._sealed_commit(commit) for commit in commits]
        return await self._inner.commit_all(commits)

    async def commit(self, commit: Commit) -> Outcome:
        """See `Histories`."""
        return await self._inner.commit(self._sealed_commit(commit))

    async def history(self, key: ExecutionKey, *, after: int = 0, limit: int | None = None) -> list[Event]:
        """See `Histories`."""
        events = await self._inner.history(key, after=after, limit=limit)
        return [self._payloads.opened_event(key, event) for event in events]

    async def last_event(self, key: ExecutionKey) -> Event | None:
        """See `Histories`."""
        event = await self._inner.last_event(key)
        return None if event is None else self._payloads.opened_event(key, event)

    async def load(self, keys: Sequence[ExecutionKey], entries: int) -> list[Loaded | None]:
        """See `Histories`."""
        found = await self._inner.load(keys, entries)
        try:
            return [None if loaded is None else self._opened_loaded(loaded) for loaded in found]
        except KeyMissing as error:
            self._missing.note(error)
            raise

    async def put_snapshot(self, key: ExecutionKey, snapshot: Snapshot) -> None:
        """See `Histories`."""
        if self._payloads.encrypts:
            snapshot = self._payloads.seal_snapshot(key, snapshot)
        await self._inner.put_snapshot(key, snapshot)

    async def execution(self, key: ExecutionKey) -> ExecutionRecord | None:
        """See `Histories`."""
        record = await self._inner.execution(key)
        return None if record is None else self._payloads.opened_record(record)

    async def executions(
        self, tenant: str, criteria: ExecutionFilter, *, limit: int = 50, cursor: str | None = None
    ) -> Page:
        """See `Histories`. One that cannot be decrypted is in the list, with its payloads encrypted."""
        page = await self._inner.executions(tenant, criteria, limit=limit, cursor=cursor)
        return replace(page, items=tuple(map(self._opened_if_possible, page.items)))

    async def ended_before(self, time: int, limit: int) -> list[ExecutionRecord]:
        """See `Retention`. One that cannot be decrypted is in the list, with its payloads encrypted."""
        return [*map(self._opened_if_possible, await self._inner.ended_before(time, limit))]

    def _opened_if_possible(self, record: ExecutionRecord) -> ExecutionRecord:
        try:
            return self._payloads.opened_record(record)
        except StoreError:
            return record

    def _opened_loaded(self, loaded: Loaded) -> Loaded:
        record, snapshot, events = loaded
        key, payloads = record.key, self._payloads
        return Loaded(
            payloads.opened_record(record),
            None if snapshot is None else payloads.opened_snapshot(key, snapshot),
            [payloads.opened_event(key, event) for event in events],
        )

    def _sealed_start(self, start: Start) -> Start:
        return self._payloads.seal_start(start) if self._payloads.must_seal_start(start) else start

    def _sealed_commit(self, commit: Commit) -> Commit:
        payloads, tenant = self._payloads, commit.key.tenant
        if not payloads.encrypts:
            return self._with_ambiguous_sealed(commit)
        return replace(
            commit,
            events=tuple([payloads.seal_event(commit.key, event) for event in commit.events]),
            tasks=tuple([payloads.seal_task(tenant, task) for task in commit.tasks]),
            messages=tuple([payloads.seal_message(tenant, message) for message in commit.messages]),
            outgoing=tuple([self._sealed_outgoing(tenant, each) for each in commit.outgoing]),
        )

    def _with_ambiguous_sealed(self, commit: Commit) -> Commit:
        """Replaces only the payloads that look encrypted. Nearly every commit has none."""
        tenant, payloads = commit.key.tenant, self._payloads
        if any(map(payloads.must_seal_task, commit.tasks)):
            seal, must_seal = payloads.seal_task, payloads.must_seal_task
            tasks = tuple([seal(tenant, task) if must_seal(task) else task for task in commit.tasks])
            commit = replace(commit, tasks=tasks)
        if commit.outgoing:
            outgoing = tuple(map(self._with_ambiguous_start_sealed, commit.outgoing))
            commit = replace(commit, outgoing=outgoing)
        return commit

    def _with_ambiguous_start_sealed(self, outgoing: Outgoing) -> Outgoing:
        if isinstance(outgoing, StartExecution):
            return StartExecution(self._sealed_start(outgoing.start))
        return outgoing

    def _sealed_outgoing(self, tenant: str, outgoing: Outgoing) -> Outgoing:
        if isinstance(outgoing, StartExecution):
            return StartExecution(self._payloads.seal_start(outgoing.start))
        if isinstance(outgoing, SendMessage):
            return SendMessage(self._payloads.seal_message(tenant, outgoing.message))
        return PublishEvent(self._payloads.seal_published(tenant, outgoing.event))


def _may_look_sealed(commit: Commit) -> bool:
    """Whether a commit may have a plain payload that looks encrypted. Each step asks this."""
    if commit.outgoing:
        return True
    for task in commit.tasks:  # noqa: SIM110 - a generator would cost each step more than the loop
        if SEALED in task.arguments:
            return True
    return False
