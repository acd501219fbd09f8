"""Sends the spans of executions that have ended, with the times that their histories have.

Spans are a projection of the committed events: they change nothing, and an execution that waits for a year
needs no open span. Only a process with traces imports this module.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from opentelemetry.sdk.trace import Event as SpanEvent
from opentelemetry.trace import Link, SpanContext

from unspool.eventstore.errors import StoreMismatch
from unspool.eventstore.events import Event
from unspool.eventstore.monitoring.trace_context import TRACEPARENT, TRACESTATE, checked_context
from unspool.eventstore.monitoring.traces import Traces, context_of
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import ExecutionKey, WorkflowRef
from unspool.eventstore.retry import retry_until_available

log = logging.getLogger(__name__)

_PAGE: Final = 500
"""Events that are read together. Fewer than the spans that an exporter holds by default, 2048."""

_MOST_WAITING: Final = 10_000
"""Ended executions that wait for their spans. Further ones get none."""

_STOP_SECONDS: Final = 5.0
"""How long a service that stops waits for a store that may be unavailable."""

_MOST_EVENTS: Final = 128
"""Events of one span, and links, as the specification of OpenTelemetry limits them by default."""

_TASK_ENDS: Final = frozenset({"task.completed", "task.faulted", "task.cancelled"})
_ENDS: Final = frozenset({"workflow.completed", "workflow.faulted", "workflow.cancelled"})
_FACTS: Final = {
    "task.started": "started",
    "task.retried": "retried",
    "task.suspended": "suspended",
    "task.resumed": "resumed",
}
"""Events of the history that become events of a span, each with its name there."""


@dataclass(slots=True)
class _OpenRun:
    """A run that has not ended."""

    task: str
    start: int
    parent: str
    events: list[SpanEvent] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)


class ExecutionSpans:
    """A service that sends the spans of executions that have ended, one execution after another."""

    def __init__(self, store: EventStore, traces: Traces) -> None:
        self._store = store
        self._traces = traces
        self._waiting: asyncio.Queue[tuple[ExecutionKey, WorkflowRef] | None] = asyncio.Queue()
        self._timeout = asyncio.timeout(None)

    def ended(self, key: ExecutionKey, workflow: WorkflowRef) -> None:
        """An execution has ended."""
        if self._waiting.qsize() < _MOST_WAITING:
            self._waiting.put_nowait((key, workflow))
        else:
            log.warning("an execution has no spans", extra={"action": "spans_dropped", "execution": key.id})

    async def run(self) -> None:
        """Runs until `stop`, and then for at most 5 seconds until all ended executions have their spans."""
        with suppress(TimeoutError):
            async with self._timeout:
                await self._send_all()

    def stop(self) -> None:
        """Makes `run` end."""
        self._waiting.put_nowait(None)
        self._timeout.reschedule(asyncio.get_running_loop().time() + _STOP_SECONDS)

    async def _send_all(self) -> None:
        while (ended := await self._waiting.get()) is not None:
            key, workflow = ended
            try:
                await self._send(key, workflow)
            except StoreMismatch:  # the loops of the worker end with the same error
                raise
            except Exception:  # spans of one execution must not stop those of others
                log.exception("no spans", extra={"action": "spans_failed", "execution": key.id})

    async def _send(self, key: ExecutionKey, workflow: WorkflowRef) -> None:
        """Sends the spans of an execution. A long history is read and sent in pieces."""
        context = await self._traces.context(key)
        if not context.trace_flags.sampled:
            return
        spans = _Spans(self._traces, key, workflow, context)
        after = 0
        while events := await retry_until_available(
            lambda after=after: self._store.history(key, after=after, limit=_PAGE)  # type: ignore[misc]
        ):
            spans.add(events)
            after = events[-1].seq
            if len(events) < _PAGE:
                return
            await asyncio.to_thread(self._traces.flush)


class _Spans:
    """Turns the history of an execution into spans."""

    def __init__(
        self, traces: Traces, key: ExecutionKey, workflow: WorkflowRef, context: SpanContext
    ) -> None:
        self._traces = traces
        self._key = key
        self._context = context
        self._root = _OpenRun("", 0, "")
        self._parent: SpanContext | None = None
        self._runs: dict[str, _OpenRun] = {}
        self._attributes = {
            "unspool.tenant": key.tenant,
            "unspool.execution": key.id,
            "unspool.workflow": f"{workflow.namespace}/{workflow.name}",
            "unspool.version": workflow.version,
        }

    def add(self, events: Iterable[Event]) -> None:
        """Adds the next events; sends the spans that they end."""
        for event in events:
            if event.run is not None:
                self._add_to_run(event, event.run)
            else:
                self._add_to_execution(event)

    def _add_to_execution(self, event: Event) -> None:
        if event.type == "workflow.started":
            self._root.start = event.time
            if (parent := event.data.get("parent")) is not None:
                self._parent = self._span(ExecutionKey(self._key.tenant, parent["execution"]), parent["run"])
            _link(self._root, event.data)
        elif event.type in _ENDS:
            for run in list(self._runs):
                self._end(event, run, self._runs.pop(run))
            self._send(self._name, self._context, self._parent, self._root, event, {})
        elif event.type in {"workflow.suspended", "workflow.resumed", "workflow.retried"}:
            _note(self._root, event, event.type.removeprefix("workflow."))

    def _add_to_run(self, event: Event, run: str) -> None:
        if event.type == "task.created":
            self._runs[run] = _OpenRun(str(event.task), event.time, event.data["parent"])
        elif (known := self._runs.get(run)) is None:
            return
        elif event.type in _TASK_ENDS:
            self._end(event, run, self._runs.pop(run))
        elif event.type in _FACTS:
            _note(known, event, _FACTS[event.type])
        elif event.type == "event.received":
            _link(known, event.data["event"])
        elif event.type in {"child.started", "child.joined"}:
            child = event.data.get("child") or event.data["execution"]
            known.links.append(Link(self._span(ExecutionKey(self._key.tenant, child), "")))

    def _end(self, event: Event, id_: str, run: _OpenRun) -> None:
        parent = self._span(self._key, run.parent) if run.parent in self._runs else self._context
        facts = {"unspool.task": run.task, "unspool.run": id_}
        self._send(run.task.rpartition("/")[2], self._span(self._key, id_), parent, run, event, facts)

    @property
    def _name(self) -> str:
        return self._attributes["unspool.workflow"]

    def _span(self, key: ExecutionKey, run: str) -> SpanContext:
        """The context of a span of the same trace."""
        return self._traces.in_trace(self._context, key, run)

    def _send(
        self,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        run: _OpenRun,
        event: Event,
        facts: dict[str, str],
    ) -> None:
        status = event.type.partition(".")[2]
        error = str(event.data["error"]["type"]) if status == "faulted" else None
        self._traces.emit(
            name,
            context,
            parent,
            (run.start, event.time),
            {**self._attributes, **facts, "unspool.status": status},
            links=run.links,
            events=run.events,
            error=error,
        )


def _link(run: _OpenRun, cause: Mapping[str, object]) -> None:
    """Links a run to the span that caused what it got, if that has sent its trace context."""
    known = checked_context(cause.get(TRACEPARENT), cause.get(TRACESTATE))
    if known and len(run.links) < _MOST_EVENTS:
        run.links.append(Link(context_of(known)))


def _note(run: _OpenRun, event: Event, name: str) -> None:
    if len(run.events) < _MOST_EVENTS:
        error = event.data.get("error")
        facts = {"error.type": str(error["type"])} if isinstance(error, dict) else {}
        run.events.append(SpanEvent(name, facts, timestamp=event.time * 1_000_000))
