"""The synchronous client: drives the asynchronous one on a thread of its own."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Self

from unspool.client.asynchronous import DEFAULT_URL, AsyncClient
from unspool.client.loop_thread import LoopThread
from unspool.client.operation_records import (
    Caller,
    CreatedKey,
    DeadLetter,
    Finding,
    Function,
    InputProblem,
    Key,
    Publication,
    PublishedEvent,
    Reception,
    Schedule,
    System,
)
from unspool.client.records import Counts, Event, Execution, Json, Statistics, Timeline, Why, Workflow


class Client:
    """A client of the HTTP API for one tenant. Several threads can use it at once.

    Arguments, methods and errors are those of `AsyncClient`. Close it at the end, best with `with`.
    """

    def __init__(
        self,
        url: str = DEFAULT_URL,
        *,
        token: str | None = None,
        tenant: str | None = None,
        timeout: float = 30.0,
        attempts: int = 6,
    ) -> None:
        self._client = AsyncClient(url, token=token, tenant=tenant, timeout=timeout, attempts=attempts)
        self._loop = LoopThread()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections and ends the thread. A closed client can be closed again."""
        if self._loop.alive:
            self._loop.run(self._client.close())
            self._loop.close()

    # -- workflows

    def deploy(self, definition: str | bytes | Mapping[str, Json]) -> Workflow:
        """Stores a definition, as `AsyncClient.deploy`."""
        return self._loop.run(self._client.deploy(definition))

    def workflows(self) -> list[Workflow]:
        """Lists all versions of all workflows."""
        return self._loop.run(self._client.workflows())

    def versions(self, workflow: str) -> list[Workflow]:
        """Lists the versions of one workflow, `NAMESPACE/NAME`, ascending."""
        return self._loop.run(self._client.versions(workflow))

    def definition(self, workflow: str | Workflow) -> str:
        """Returns the text of a definition as it was deployed; without a version, of the latest."""
        return self._loop.run(self._client.definition(workflow))

    def findings(self, workflow: str | Workflow) -> list[Finding]:
        """Returns what a check finds in a deployed definition now: its warnings, as a rule."""
        return self._loop.run(self._client.findings(workflow))

    def diagram(self, workflow: str | Workflow) -> str:
        """Returns the diagram of a definition, as SVG."""
        return self._loop.run(self._client.diagram(workflow))

    def check_input(self, workflow: str | Workflow, input: Json) -> list[InputProblem]:
        """Checks an input against the schema of a definition; starts nothing. Returns what does not match."""
        return self._loop.run(self._client.check_input(workflow, input))

    def statistics(self, workflow: str | Workflow, since: str | None = None) -> Statistics:
        """Returns figures of the newest executions of a workflow, of all its versions or of one.

        Args:
            workflow: the workflow.
            since: of executions created from then on; a time in RFC 3339, or an age such as `12h`.
        """
        return self._loop.run(self._client.statistics(workflow, since))

    # -- executions

    def start(
        self,
        workflow: str | Workflow,
        input: Json = None,
        *,
        id: str | None = None,
        tags: Mapping[str, str] | None = None,
        wait: float | None = None,
    ) -> Execution:
        """Starts an execution, as `AsyncClient.start`."""
        return self._loop.run(self._client.start(workflow, input, id=id, tags=tags, wait=wait))

    def execution(self, id: str, *, wait: float | None = None) -> Execution:
        """Returns an execution; with `wait`, as soon as it has ended, or after so many seconds."""
        return self._loop.run(self._client.execution(id, wait=wait))

    def result(self, id: str, *, timeout: float | None = None) -> Json:
        """Waits for an execution to end and returns its output, as `AsyncClient.result`."""
        return self._loop.run(self._client.result(id, timeout=timeout))

    def executions(
        self,
        *,
        status: str | Sequence[str] | None = None,
        workflow: str | Workflow | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
        id: str | None = None,
        parent: str | None = None,
        tags: Mapping[str, str] | None = None,
        summary: bool = False,
        page_size: int = 100,
    ) -> Iterator[Execution]:
        """Yields the executions that match all filters, the newest first, as `AsyncClient.executions`."""
        found = self._client.executions(
            status=status,
            workflow=workflow,
            since=since,
            until=until,
            id=id,
            parent=parent,
            tags=tags,
            summary=summary,
            page_size=page_size,
        )
        return self._loop.iterate(found)

    def counts(self) -> Counts:
        """Returns how many executions are in each status."""
        return self._loop.run(self._client.counts())

    def history(self, id: str, *, after: int = 0, limit: int | None = None) -> list[Event]:
        """Returns the events of an execution, as `AsyncClient.history`."""
        return self._loop.run(self._client.history(id, after=after, limit=limit))

    def events(self, id: str, *, after: int = 0) -> Iterator[Event]:
        """Yields the events of an execution live until it has ended, as `AsyncClient.events`."""
        return self._loop.iterate(self._client.events(id, after=after))

    def state(self, id: str, *, at: int | None = None) -> Json:
        """Returns the state of an execution after event `at`, by default the last one."""
        return self._loop.run(self._client.state(id, at=at))

    def execution_diagram(self, id: str, *, at: int | None = None) -> str:
        """Returns the diagram of an execution with the states of its tasks after event `at`, as SVG."""
        return self._loop.run(self._client.execution_diagram(id, at=at))

    def timeline(self, id: str, *, at: int | None = None) -> Timeline:
        """Returns the runs of the tasks of an execution as of event `at`, by default the last one."""
        return self._loop.run(self._client.timeline(id, at=at))

    def why(self, id: str) -> Why:
        """Returns why an execution waits."""
        return self._loop.run(self._client.why(id))

    def cancel(self, id: str, *, reason: str | None = None, wait: float | None = None) -> Execution:
        """Cancels an execution that has not ended, as `AsyncClient.cancel`."""
        return self._loop.run(self._client.cancel(id, reason=reason, wait=wait))

    def suspend(self, id: str, *, reason: str | None = None, wait: float | None = None) -> Execution:
        """Suspends an execution that has not ended, as `AsyncClient.cancel`."""
        return self._loop.run(self._client.suspend(id, reason=reason, wait=wait))

    def resume(self, id: str, *, reason: str | None = None, wait: float | None = None) -> Execution:
        """Resumes a suspended execution, as `AsyncClient.cancel`."""
        return self._loop.run(self._client.resume(id, reason=reason, wait=wait))

    def retry(self, id: str, *, reason: str | None = None, wait: float | None = None) -> Execution:
        """Retries a faulted execution from the task that faulted, as `AsyncClient.cancel`."""
        return self._loop.run(self._client.retry(id, reason=reason, wait=wait))

    # -- events, schedules

    def publish(self, *events: Mapping[str, Json]) -> int:
        """Publishes CloudEvents, all or none, as `AsyncClient.publish`."""
        return self._loop.run(self._client.publish(*events))

    def publish_batch(self, events: Iterable[Mapping[str, Json]]) -> Publication:
        """Publishes CloudEvents, all or none, as `AsyncClient.publish_batch`."""
        return self._loop.run(self._client.publish_batch(events))

    def published_events(
        self, *, type: str | None = None, source: str | None = None, after: str | None = None
    ) -> Iterator[PublishedEvent]:
        """Yields events as they are published, without end, as `AsyncClient.published_events`."""
        return self._loop.iterate(self._client.published_events(type=type, source=source, after=after))

    def published_event(self, id: str) -> Reception:
        """Returns an event by its id in the stream, with the executions that accepted it or nearly did."""
        return self._loop.run(self._client.published_event(id))

    def schedules(self) -> list[Schedule]:
        """Lists the schedules of the deployed workflows."""
        return self._loop.run(self._client.schedules())

    def pause_schedule(self, id: str, *, reason: str | None = None, wait: float | None = None) -> Schedule:
        """Pauses a schedule; with `wait`, waits so many seconds for it to take effect."""
        return self._loop.run(self._client.pause_schedule(id, reason=reason, wait=wait))

    def resume_schedule(self, id: str, *, reason: str | None = None, wait: float | None = None) -> Schedule:
        """Continues a paused schedule; with `wait`, waits so many seconds for it to take effect."""
        return self._loop.run(self._client.resume_schedule(id, reason=reason, wait=wait))

    # -- operation

    def dead_letters(self, *, execution: str | None = None) -> Iterator[DeadLetter]:
        """Yields the dead letters, of all executions or of one, the oldest first."""
        return self._loop.iterate(self._client.dead_letters(execution=execution))

    def dead_letter(self, id: str) -> DeadLetter:
        """Returns a dead letter with its original and traceback."""
        return self._loop.run(self._client.dead_letter(id))

    def requeue(self, id: str, *, reason: str | None = None) -> None:
        """Puts the original of a dead letter back into its queue."""
        self._loop.run(self._client.requeue(id, reason=reason))

    def discard(self, id: str, *, reason: str | None = None) -> None:
        """Deletes a dead letter."""
        self._loop.run(self._client.discard(id, reason=reason))

    def keys(self) -> list[Key]:
        """Lists the API keys."""
        return self._loop.run(self._client.keys())

    def create_key(
        self,
        name: str,
        scopes: Sequence[str],
        *,
        all_tenants: bool = False,
        expires_at: datetime | None = None,
    ) -> CreatedKey:
        """Creates an API key of this tenant, or of all tenants. Only this answer has its token."""
        made = self._client.create_key(name, scopes, all_tenants=all_tenants, expires_at=expires_at)
        return self._loop.run(made)

    def revoke_key(self, id: str) -> None:
        """Revokes an API key."""
        self._loop.run(self._client.revoke_key(id))

    def caller(self) -> Caller:
        """Returns who the API takes you for, and what you may do."""
        return self._loop.run(self._client.caller())

    def services(self) -> System:
        """Returns the services that are alive, what waits in the queues, and the state of the store."""
        return self._loop.run(self._client.services())

    def functions(self) -> list[Function]:
        """Lists the functions that executors have registered."""
        return self._loop.run(self._client.functions())
