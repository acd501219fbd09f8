"""Ids of traces and spans, and the way of spans to a collector.

All ids are computed from the ids of executions and runs. So services that do not know each other give the
same ids to the same work, and the store keeps nothing for traces.
"""

import hashlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event as SpanEvent
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from unspool.eventstore.errors import StoreError
from unspool.eventstore.monitoring.trace_context import TRACEPARENT, TRACESTATE
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import ExecutionKey
from unspool.eventstore.this_process import this_process

_MOST_ROOTS: Final = 10_000
"""Executions whose root is remembered."""

_NANOSECONDS: Final = 1_000_000
"""In a millisecond."""

_MOST_DEPTH: Final = 1_000
"""How many parents are followed to find a root."""


def opened(store: EventStore, exporter: str) -> "Traces":
    """The traces of a process, which go to the exporter `otlp` or `console`."""
    return Traces(store, OTLPSpanExporter() if exporter == "otlp" else ConsoleSpanExporter(out=sys.stderr))


class Traces:
    """Makes the contexts of spans, and sends spans to an exporter in batches."""

    def __init__(self, store: EventStore, exporter: SpanExporter) -> None:
        """Reads the variables of the OpenTelemetry specification in the environment of the process."""
        self._store = store
        self._roots: dict[ExecutionKey, str] = {}
        self._processor = BatchSpanProcessor(exporter)
        self.provider = TracerProvider(resource=_resource(), shutdown_on_exit=False)
        self.provider.add_span_processor(self._processor)

    async def context(self, key: ExecutionKey, run: str = "") -> SpanContext:
        """The context of the span of a run, or of the execution's span.

        A sub-workflow has the trace of the execution at the top. If the store does not answer, it has one of
        its own.
        """
        trace_id = int.from_bytes(_digest(key.tenant, await self._root(key))[:16])
        sampled = self.provider.sampler.should_sample(None, trace_id, "execution").decision
        return _context(trace_id, key, run, sampled=sampled is Decision.RECORD_AND_SAMPLE)

    async def traceparent(self, key: ExecutionKey) -> str:
        """The context of the span of an execution, for events that it publishes."""
        context = await self.context(key)
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    def in_trace(self, known: SpanContext, key: ExecutionKey, run: str = "") -> SpanContext:
        """As `context`, for a span that is in the trace of a span that is known."""
        return _context(known.trace_id, key, run, sampled=known.trace_flags.sampled)

    def emit(
        self,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        times: tuple[int, int],
        attributes: Mapping[str, str],
        *,
        links: Sequence[Link] = (),
        events: Sequence[SpanEvent] = (),
        error: str | None = None,
    ) -> None:
        """Sends a span that has ended. `times` are its start and end, in milliseconds since 1970."""
        self._processor.on_end(
            ReadableSpan(
                name,
                context,
                parent,
                self.provider.resource,
                attributes,
                links=links,
                events=events,
                kind=SpanKind.INTERNAL,
                status=Status() if error is None else Status(StatusCode.ERROR, error),
                start_time=times[0] * _NANOSECONDS,
                end_time=times[1] * _NANOSECONDS,
            )
        )

    def flush(self) -> None:
        """Sends what waits, and blocks meanwhile."""
        self._processor.force_flush()

    def close(self) -> None:
        """Sends what waits, and blocks meanwhile. Spans that end later are lost."""
        self.provider.shutdown()

    async def _root(self, key: ExecutionKey) -> str:
        if (known := self._roots.get(key)) is not None:
            return known
        root = key
        try:
            for _ in range(_MOST_DEPTH):
                record = await self._store.execution(root)
                if record is None or record.parent is None:
                    break
                root = ExecutionKey(key.tenant, record.parent.execution)
        except StoreError:
            return root.id
        if len(self._roots) >= _MOST_ROOTS:
            del self._roots[next(iter(self._roots))]
        self._roots[key] = root.id
        return root.id


def context_of(known: Mapping[str, str]) -> SpanContext:
    """The context of a span of another program, from what `checked_context` returns."""
    _, trace_id, span_id, flags = known[TRACEPARENT].split("-")
    return SpanContext(
        int(trace_id, 16),
        int(span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(int(flags, 16)),
        trace_state=TraceState.from_header([known.get(TRACESTATE, "")]),
    )


def _context(trace_id: int, key: ExecutionKey, run: str, *, sampled: bool) -> SpanContext:
    span_id = int.from_bytes(_digest(key.tenant, key.id, run)[:8])
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=flags)


def _digest(*parts: str) -> bytes:
    # No id can have a line feed, so different parts are different texts.
    return hashlib.sha256("\n".join(parts).encode()).digest()


def _resource() -> Resource:
    """What describes this process; `unspool` is its name unless the environment has another."""
    named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    name = {} if named else {"service.name": "unspool"}
    return Resource.create({**name, "service.version": this_process().version})
