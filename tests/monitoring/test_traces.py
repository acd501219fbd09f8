"""Traces: what a collector and the services that tasks call get to see."""

import asyncio
import io
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from unspool.cli.logs import JsonFormatter
from unspool.cli.node import Node
from unspool.cli.serving import serve_api
from unspool.eventstore.listing import ExecutionFilter
from unspool.eventstore.monitoring.trace_context import checked_context, checked_traceparent, trace_context
from unspool.eventstore.opening import open_store
from unspool.eventstore.records import (
    Definition,
    ExecutionKey,
    Message,
    MessageKind,
    Start,
    WorkflowRef,
)
from unspool.eventstore.records import Status as ExecutionStatus
from unspool.eventstore.settings import BadSetting
from unspool.worker.schedule.deployment import deploy

UNSPOOL = Path(sys.executable).with_name("unspool")

HEAD = "document: {dsl: '1.0.3', namespace: shop, name: %s, version: '1.0.0'}\n"
CALL = "{call: http, with: {method: get, endpoint: %s/hello}}"
WAIT = HEAD % "idle" + "do: [{nap: {wait: {milliseconds: 10}}}]\n"


@dataclass
class Outside:
    """A collector of traces and a service that tasks call, as one HTTP server."""

    url: str = ""
    calls: list[dict[str, str]] = field(default_factory=list)
    """The headers of the calls of tasks."""
    spans: list[Span] = field(default_factory=list)
    services: set[str] = field(default_factory=set)

    async def collect(self, request: web.Request) -> web.Response:
        batch = ExportTraceServiceRequest.FromString(await request.read())
        for resource in batch.resource_spans:
            self.services |= {
                each.value.string_value for each in resource.resource.attributes if each.key == "service.name"
            }
            for scope in resource.scope_spans:
                self.spans += scope.spans
        return web.Response(content_type="application/x-protobuf")

    async def hello(self, request: web.Request) -> web.Response:
        self.calls.append({name.lower(): value for name, value in request.headers.items()})
        return web.json_response({"hello": True})

    async def broken(self, request: web.Request) -> web.Response:
        return web.Response(status=500)

    def span(self, name: str) -> Span:
        [found] = [span for span in self.spans if span.name == name]
        return found


@pytest.fixture
async def outside(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Outside]:
    server = Outside()
    app = web.Application()
    app.add_routes(
        [
            web.post("/v1/traces", server.collect),
            web.get("/hello", server.hello),
            web.get("/broken", server.broken),
        ]
    )
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
    yield server
    await runner.cleanup()


@pytest.fixture
async def store(store_url):
    opened = await open_store(store_url, {})
    yield opened
    await opened.close()


async def run(store, store_url, *definitions: str, traceparent: str | None = None):
    """Runs the last definition to its end, on a node that stops then and so sends all spans."""
    async with Node(store, store_url, environment=os.environ):
        for text in definitions:
            name = text.partition("name: ")[2].partition(",")[0]
            ref = WorkflowRef("shop", name, "1.0.0")
            await store.put_definition("default", Definition(ref, text, 0))
        key = ExecutionKey("default", f"{name}-1")
        await store.start(Start(key, ref, {}, time.time_ns() // 1_000_000, traceparent=traceparent))
        return await ended(store, key)


async def ended(store, key: ExecutionKey):
    """Waits until an execution exists and has ended; returns its status."""
    async with asyncio.timeout(60):
        while (record := await store.execution(key)) is None or not record.status.ended:
            await store.wait_for_version(key, 0 if record is None else record.version, 1)
    return record.status


def attribute(span: Span, name: str) -> str:
    [found] = [each.value.string_value for each in span.attributes if each.key == name]
    return found


async def test_an_execution_its_tasks_its_calls_and_its_sub_workflows_are_one_trace(
    outside: Outside, store, store_url
) -> None:
    child = HEAD % "child" + f"do: [{{inner: {CALL % outside.url}}}]\n"
    parent = (
        HEAD % "parent"
        + f"do: [{{greet: {CALL % outside.url}}},"
        + " {ask: {run: {workflow: {namespace: shop, name: child, version: '1.0.0'}}}}]\n"
    )
    await run(store, store_url, child, parent)

    root, greet, ask = outside.span("shop/parent"), outside.span("greet"), outside.span("ask")
    below, inner = outside.span("shop/child"), outside.span("inner")
    assert {span.trace_id for span in outside.spans} == {root.trace_id}
    assert root.parent_span_id == b""
    assert greet.parent_span_id == ask.parent_span_id == root.span_id
    assert below.parent_span_id == ask.span_id
    assert inner.parent_span_id == below.span_id
    assert [link.span_id for link in ask.links] == [below.span_id]
    calls = {span.parent_span_id: span for span in outside.spans if span.name == "http"}
    assert set(calls) == {greet.span_id, inner.span_id}
    assert [call["traceparent"] for call in outside.calls] == [
        f"00-{root.trace_id.hex()}-{calls[task.span_id].span_id.hex()}-01" for task in (greet, inner)
    ]
    assert root.start_time_unix_nano <= greet.start_time_unix_nano <= greet.end_time_unix_nano
    assert greet.end_time_unix_nano <= ask.end_time_unix_nano <= root.end_time_unix_nano
    assert attribute(greet, "unspool.task") == "/do/0/greet"
    assert attribute(root, "unspool.execution") == "parent-1"
    assert outside.services == {"unspool"}


OF_EVENT = ExecutionFilter(workflow=("shop", "started"))
CALLER = f"00-{'a' * 32}-{'b' * 16}-01"


async def test_an_execution_links_to_the_span_of_its_caller(outside: Outside, store, store_url) -> None:
    await run(store, store_url, WAIT, traceparent=CALLER)
    root = outside.span("shop/idle")
    assert [(link.trace_id.hex(), link.span_id.hex()) for link in root.links] == [("a" * 32, "b" * 16)]
    assert root.trace_id.hex() != "a" * 32


async def test_requests_that_change_something_are_in_the_trace_of_their_caller(
    outside: Outside, store, store_url
) -> None:
    """The execution and the event link to the span of the request; reading makes no span."""
    context = {"traceparent": CALLER, "tracestate": "vendor=1"}
    event = {"specversion": "1.0", "id": "1", "source": "urn:x", "type": "t"}
    stop, address = asyncio.Event(), asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as group, Node(store, store_url, environment=os.environ):
        group.create_task(serve_api(store, stop, port=0, up=address.set_result))
        async with aiohttp.ClientSession(f"{await address}/api/v1/", headers=context) as session:
            yaml = {"Content-Type": "application/yaml"}
            async with session.post("workflows", data=WAIT, headers=yaml) as answer:
                assert answer.status == 201
            path = "workflows/shop/idle/executions"
            async with session.post(f"{path}?wait=60", json={"input": {"word": "CanaryInput"}}) as answer:
                execution = (await answer.json())["id"]
            async with session.post("events", json=event) as answer:
                assert answer.status == 202
            async with session.post(f"{path}?version=9.9.9", json={}) as answer:
                assert answer.status == 404
            async with session.get(f"executions/{execution}") as answer:
                assert answer.status == 200
        stop.set()
    route = "/api/v1/workflows/{namespace}/{name}/executions"
    spans = [span for span in outside.spans if span.kind == Span.SPAN_KIND_SERVER]
    assert sorted(span.name for span in spans) == sorted(
        ["POST /api/v1/workflows", f"POST {route}", f"POST {route}", "POST /api/v1/events"]
    )
    for span in spans:
        assert (span.trace_id.hex(), span.parent_span_id.hex()) == ("a" * 32, "b" * 16)
        assert span.trace_state == "vendor=1"
    assert "CanaryInput" not in repr(outside.spans)
    started = next(span for span in spans if span.name == f"POST {route}" and number(span) != 404)
    [link] = outside.span("shop/idle").links
    assert link.span_id == started.span_id
    [first] = await store.history(ExecutionKey("default", execution), limit=1)
    assert first.data["tracestate"] == "vendor=1"
    [published] = [each.event for each in await store.published_events("default")]
    publishing = outside.span("POST /api/v1/events")
    assert published["traceparent"] == f"00-{'a' * 32}-{publishing.span_id.hex()}-01"
    assert published["tracestate"] == "vendor=1"


def number(span: Span) -> int:
    """The status of the answer of a request."""
    [found] = [each.value.int_value for each in span.attributes if each.key == "http.response.status_code"]
    return int(found)


async def test_events_carry_the_trace_from_who_emits_to_who_consumes(
    outside: Outside, store, store_url
) -> None:
    emit = HEAD % "sender" + "do: [{tell: {emit: {event: {with: {source: /shop, type: paid}}}}}]\n"
    started = HEAD % "started" + "schedule: {on: {one: {with: {type: paid}}}}\n" + WAIT.partition("\n")[2]
    listen = HEAD % "listener" + "do: [{hear: {listen: {to: {one: {with: {type: paid}}}}}}]\n"
    listener, of_event = (WorkflowRef("shop", name, "1.0.0") for name in ("listener", "started"))
    async with Node(store, store_url, environment=os.environ):
        await deploy(store, "default", Definition(of_event, started, 0), 1, listening_within=60)
        await store.put_definition("default", Definition(listener, listen, 0))
        key = ExecutionKey("default", "listener-1")
        await store.start(Start(key, listener, {}, 1))
        while (await store.execution(key)).status is not ExecutionStatus.WAITING:
            await store.wait_for_version(key, (await store.execution(key)).version, 1)
        await run(store, store_url, emit)
        await ended(store, key)
        while not (found := (await store.executions("default", OF_EVENT)).items):
            await asyncio.sleep(0.05)
        await ended(store, found[0].key)
    [published] = [each.event for each in await store.published_events("default")]
    sender = outside.span("shop/sender")
    assert published["traceparent"] == f"00-{sender.trace_id.hex()}-{sender.span_id.hex()}-01"
    for name in ("hear", "shop/started"):
        [link] = outside.span(name).links
        assert (link.trace_id, link.span_id) == (sender.trace_id, sender.span_id)


async def test_errors_and_attempts_are_shown_without_data(outside: Outside, store, store_url) -> None:
    text = (
        HEAD % "fails"
        + f"""\
do:
  - again:
      try: [{{ask: {{call: http, with: {{method: get, endpoint: {outside.url}/broken}}}}}}]
      catch: {{retry: {{delay: {{milliseconds: 1}}, limit: {{attempt: {{count: 2}}}}}}}}
"""
    )
    await run(store, store_url, text)
    again, root = outside.span("again"), outside.span("shop/fails")
    assert "retried" in [event.name for event in again.events]
    assert root.status.code == again.status.code == Status.STATUS_CODE_ERROR
    assert root.status.message.endswith("/communication")
    calls = [span for span in outside.spans if span.name == "http"]
    assert len(calls) >= 2
    assert {span.status.message.rpartition("/")[2] for span in calls} == {"communication"}
    assert not any("/broken" in str(span) for span in outside.spans)  # the detail of the error has it


async def test_the_header_of_an_author_is_kept(outside: Outside, store, store_url) -> None:
    written = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    call = f"{{method: get, endpoint: {outside.url}/hello, headers: {{Traceparent: {written}}}}}"
    await run(store, store_url, HEAD % "own" + f"do: [{{greet: {{call: http, with: {call}}}}}]\n")
    assert [call["traceparent"] for call in outside.calls] == [written]


async def test_a_sampler_that_refuses_a_trace_refuses_all_its_spans(
    outside: Outside, store, store_url, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0")
    await run(store, store_url, HEAD % "quiet" + f"do: [{{greet: {CALL % outside.url}}}]\n")
    assert outside.spans == []
    assert [call["traceparent"][-3:] for call in outside.calls] == ["-00"]


async def test_a_collector_that_is_away_does_not_stop_executions(
    store, store_url, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    assert (await run(store, store_url, WAIT)).value == "completed"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "otlp, console or none"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "http/protobuf",
        ),
    ],
)
async def test_what_is_not_supported_is_an_error(store, store_url, settings, words) -> None:
    with pytest.raises(BadSetting, match=words):
        async with Node(store, store_url, environment=settings):
            pass


async def test_without_the_library_the_error_names_it(
    store, store_url, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "opentelemetry"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(BadSetting, match=r"OTEL_TRACES_EXPORTER needs .* pip install 'unspool\[otel\]'"):
        async with Node(store, store_url, environment={"OTEL_TRACES_EXPORTER": "otlp"}):
            pass


@pytest.mark.parametrize("exporter", ["", "none", "console"])
def test_the_library_is_imported_only_if_traces_are_on(tmp_path: Path, exporter: str) -> None:
    file = tmp_path / "idle.yaml"
    file.write_text(WAIT)
    command = [sys.executable, "-X", "importtime", str(UNSPOOL), "run", str(file)]
    plain = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    variables = plain | {"XDG_DATA_HOME": str(tmp_path), "OTEL_TRACES_EXPORTER": exporter}
    ended = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=100, check=True)
    assert json.loads(ended.stdout) == {}
    assert ("opentelemetry.sdk" in ended.stderr) is (exporter == "console")
    assert ("shop/idle" in ended.stderr) is (exporter == "console")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (CALLER, CALLER),
        (f"01{CALLER[2:]}-more", CALLER),
        (f"ff{CALLER[2:]}", None),
        (f"00-{'0' * 32}-{'b' * 16}-01", None),
        (f"00-{'a' * 32}-{'0' * 16}-01", None),
        (CALLER.upper(), None),
        (CALLER + "\n", None),
        (7, None),
    ],
)
def test_a_trace_context_that_is_malformed_is_ignored(text: object, kept: str | None) -> None:
    assert checked_traceparent(text) == kept


@pytest.mark.parametrize(
    ("state", "kept"),
    [("a=1,b=2", "a=1,b=2"), (" a=1 ", "a=1"), ("", None), ("a=1\n", None), ("x" * 513, None), (7, None)],
)
def test_a_tracestate_is_passed_on_beside_its_traceparent(state: object, kept: str | None) -> None:
    assert checked_context(CALLER, state).get("tracestate") == kept
    assert checked_context("nothing", state) == {}


def test_log_records_of_a_task_have_its_ids() -> None:
    record = logging.makeLogRecord({"msg": "hello"})
    assert "trace_id" not in json.loads(JsonFormatter().format(record))
    token = trace_context.set({"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})
    try:
        line = json.loads(JsonFormatter().format(record))
    finally:
        trace_context.reset(token)
    assert (line["trace_id"], line["span_id"]) == ("a" * 32, "b" * 16)


async def test_log_records_of_a_worker_have_the_ids_of_the_execution(
    outside: Outside, store, store_url
) -> None:
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    handler.setFormatter(JsonFormatter())
    logging.getLogger().addHandler(handler)
    try:
        async with Node(store, store_url, environment=os.environ, services=("worker",)):
            await store.send("default", Message(MessageKind.CANCEL, "nothing", {}))
            async with asyncio.timeout(60):
                while "orphan_message" not in lines.getvalue():
                    await asyncio.sleep(0.02)
    finally:
        logging.getLogger().removeHandler(handler)
    orphans = [line for line in lines.getvalue().splitlines() if "orphan_message" in line]
    record = json.loads(orphans[0])
    assert record["execution"] == "nothing"
    assert len(record["trace_id"]) == 32
