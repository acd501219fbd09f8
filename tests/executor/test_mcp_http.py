"""`call: mcp` over HTTP (inventory J23, V15, Z11; dsl-reference.md, "MCP Call")."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from tests.executor.conftest import Service
from tests.task_contexts import task_context

from unspool.eventstore.monitoring.trace_context import trace_context
from unspool.eventstore.records import TaskRequest
from unspool.executor.handlers import default_handlers
from unspool.executor.outcome import Completed, Faulted, Outcome
from unspool.executor.settings import ExecutorSettings

SERVER = Path(__file__).with_name("agents") / "mcp_server.py"
SUM = {"content": [{"type": "text", "text": "3"}], "isError": False, "structuredContent": {"result": 3}}
ADD = {"name": "add", "arguments": {"a": 1, "b": 2}}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of a server made with the official library, in a process of its own."""
    pytest.importorskip("mcp", reason="mcp is not installed")
    with subprocess.Popen([sys.executable, str(SERVER), "http"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.kill()


@pytest.fixture
def reports() -> list:
    """What the calls of a test reported as progress."""
    return []


@pytest.fixture
async def mcp(request: pytest.FixtureRequest, reports: list) -> AsyncIterator[Callable]:
    """Runs an `mcp` task: `await mcp(url, method, parameters=…)`."""
    settings = getattr(request, "param", ExecutorSettings())
    async with default_handlers(settings) as handlers:

        async def call(url: str, method: str = "tools/call", headers=None, authentication=None, **others):
            endpoint = {"uri": url, **({"authentication": authentication} if authentication else {})}
            http = {"endpoint": endpoint, **({"headers": headers} if headers else {})}
            arguments = {"$kind": "mcp", "method": method, "transport": {"http": http}, **others}
            context = replace(task_context(), report=reports.append)
            return await handlers["mcp"](TaskRequest("e1", "r1", "/do/0/call", "call", arguments), context)

        yield call


def error_of(outcome: Outcome) -> tuple[str, int, str]:
    assert isinstance(outcome, Faulted), outcome
    assert outcome.error.title
    return outcome.error.type.rpartition("/")[2], outcome.error.status, outcome.error.detail or ""


@pytest.mark.parametrize("path", ["/mcp/", "/plain/"])
async def test_a_tool_is_called(mcp, server, path) -> None:
    assert await mcp(server + path, parameters=ADD) == Completed(SUM)


@pytest.mark.parametrize(
    ("method", "parameters", "output"),
    [
        (
            "prompts/list",
            {},
            {
                "prompts": [
                    {"name": "greeting", "description": "", "arguments": [{"name": "name", "required": True}]}
                ]
            },
        ),
        (
            "prompts/get",
            {"name": "greeting", "arguments": {"name": "Ada"}},
            {
                "description": "",
                "messages": [{"role": "user", "content": {"type": "text", "text": "Greet Ada"}}],
            },
        ),
        (
            "resources/list",
            {},
            {
                "resources": [
                    {"name": "config", "uri": "config://app", "description": "", "mimeType": "text/plain"}
                ]
            },
        ),
        (
            "resources/read",
            {"uri": "users://7/name"},
            {"contents": [{"uri": "users://7/name", "mimeType": "text/plain", "text": "user 7"}]},
        ),
        (
            "resources/templates/list",
            {},
            {
                "resourceTemplates": [
                    {
                        "name": "user",
                        "uriTemplate": "users://{number}/name",
                        "description": "",
                        "mimeType": "text/plain",
                    }
                ]
            },
        ),
    ],
)
async def test_each_method_returns_the_result_of_the_server(mcp, server, method, parameters, output) -> None:
    assert await mcp(f"{server}/mcp/", method, parameters=parameters) == Completed(output)


async def test_tools_are_listed(mcp, server) -> None:
    outcome = await mcp(f"{server}/mcp/", "tools/list")
    assert {"add", "fail", "wait"} <= {tool["name"] for tool in outcome.output["tools"]}


async def test_the_failure_of_a_tool_is_a_result(mcp, server) -> None:
    """V15: `isError` is for the workflow to read."""
    outcome = await mcp(f"{server}/mcp/", parameters={"name": "fail"})
    assert outcome.output["isError"] is True
    assert "out of order" in outcome.output["content"][0]["text"]


async def test_an_error_of_the_protocol_is_a_runtime_error(mcp, server) -> None:
    """V15"""
    kind, status, detail = error_of(await mcp(f"{server}/mcp/", parameters={"name": "refuse"}))
    assert (kind, status) == ("runtime", 500)
    assert "refused for a reason (code -32042)" in detail


async def test_the_progress_of_a_tool_is_the_progress_of_the_task(mcp, server, reports) -> None:
    outcome = await mcp(f"{server}/mcp/", parameters={"name": "progress"})
    assert outcome.output["structuredContent"] == {"result": "done"}
    assert reports == [{"progress": step, "total": 3} for step in range(3)]


async def test_questions_of_the_server_are_refused(mcp, server) -> None:
    kind, _, detail = error_of(await mcp(f"{server}/mcp/", parameters={"name": "ask"}))
    assert kind == "runtime"
    assert "not supported" in detail


@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"])
async def test_each_version_of_the_protocol_can_be_asked_for(mcp, server, version) -> None:
    """Z11"""
    outcome = await mcp(f"{server}/mcp/", parameters=ADD, protocolVersion=version)
    assert outcome.output["content"] == SUM["content"]


async def test_an_unknown_version_is_a_configuration_error(mcp, server) -> None:
    kind, _, detail = error_of(await mcp(server, protocolVersion="1999-01-01"))
    assert kind == "configuration"
    assert "2025-06-18" in detail


async def test_the_client_has_the_name_of_the_author_or_of_the_runtime(mcp, server) -> None:
    """Z11"""

    async def told(**others) -> dict:
        outcome = await mcp(f"{server}/mcp/", parameters={"name": "client"}, **others)
        return json.loads(outcome.output["content"][0]["text"])

    assert (await told())["name"] == "unspool"
    named = {"name": "synapse", "version": "1.0.0-alpha5.2"}
    assert await told(client=named) == named


async def test_a_tool_gets_the_idempotency_key_of_the_task(mcp, server) -> None:
    """I45"""
    outcome = await mcp(f"{server}/mcp/", parameters={"name": "key"})
    assert outcome.output["content"][0]["text"] == "e1/r1"


async def test_a_tool_gets_the_trace_context(mcp, server) -> None:
    token = trace_context.set({"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})
    try:
        outcome = await mcp(f"{server}/mcp/", parameters={"name": "trace"})
    finally:
        trace_context.reset(token)
    assert outcome.output["content"][0]["text"] == f"00-{'a' * 32}-{'b' * 16}-01"


async def test_credentials_are_sent(mcp, server) -> None:
    token = {"bearer": {"token": "open-sesame"}}
    assert await mcp(f"{server}/private/", parameters=ADD, authentication=token) == Completed(SUM)
    header = {"authorization": "Bearer open-sesame"}
    assert await mcp(f"{server}/private/", parameters=ADD, headers=header) == Completed(SUM)


async def test_wrong_credentials_are_a_communication_error(mcp, server) -> None:
    wrong = {"bearer": {"token": "guessed-token"}}
    kind, status, detail = error_of(await mcp(f"{server}/private/", authentication=wrong))
    assert (kind, status) == ("communication", 401)
    assert "guessed" not in detail


async def test_the_timeout_of_the_call_ends_it(mcp, server, tmp_path) -> None:
    parameters = {"name": "wait", "arguments": {"file": str(tmp_path / "state")}}
    kind, status, detail = error_of(
        await mcp(f"{server}/mcp/", parameters=parameters, timeout={"milliseconds": 500})
    )
    assert (kind, status) == ("timeout", 408)
    assert "longer than 0.5 s" in detail


async def test_a_cancelled_call_is_cancelled_on_the_server(mcp, server, tmp_path, eventually) -> None:
    file = tmp_path / "state"
    parameters = {"name": "wait", "arguments": {"file": str(file)}}
    call = asyncio.create_task(mcp(f"{server}/mcp/", parameters=parameters))
    await eventually(lambda: file.exists() and file.read_text().startswith("started"), "the tool runs")
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await eventually(lambda: file.read_text() == "cancelled", "the server sees the cancellation")


@pytest.mark.parametrize("mcp", [ExecutorSettings(egress="public")], indirect=True)
async def test_addresses_pass_the_egress_policy(mcp, server) -> None:
    assert error_of(await mcp(f"{server}/mcp/"))[0] == "authorization"
    assert error_of(await mcp("http://169.254.169.254/mcp"))[0] == "authorization"


async def test_a_server_that_is_not_there_is_a_communication_error(mcp, unused_tcp_port) -> None:
    kind, _, detail = error_of(await mcp(f"http://127.0.0.1:{unused_tcp_port}/mcp", timeout="PT30S"))
    assert kind == "communication"
    assert "no connection" in detail


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [
        ({"parameters": "text"}, "parameters must be a map"),
        ({"timeout": "soon"}, "timeout"),
        ({"method": "tools/drop"}, "not a method"),
        ({"client": {"name": 1, "version": 2}}, "client"),
        ({"headers": {"Content-Length": "3"}}, "Content-Length"),
    ],
)
async def test_bad_arguments_are_configuration_errors(mcp, arguments, cause) -> None:
    kind, _, detail = error_of(await mcp("http://127.0.0.1:9/", **arguments))
    assert kind == "configuration"
    assert cause in detail


@pytest.mark.parametrize("library", ["mcp", "mcp_types"])  # the packages that `unspool[mcp]` installs
async def test_without_the_library_the_error_names_what_to_install(monkeypatch, library) -> None:
    for module in [name for name in sys.modules if name.startswith("unspool.executor.mcp")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, library, None)
    arguments = {
        "$kind": "mcp",
        "method": "tools/list",
        "transport": {"http": {"endpoint": {"uri": "http://x"}}},
    }
    async with default_handlers(ExecutorSettings()) as handlers:
        outcome = await handlers["mcp"](TaskRequest("e", "r", "/do/0/a", "call", arguments), task_context())
    kind, _, detail = error_of(outcome)
    assert kind == "configuration"
    assert "pip install 'unspool[mcp]'" in detail


# -- servers that do not behave


class Scripted:
    """A server that starts sessions and answers requests as a test says."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.answer: Callable[[web.Request, dict], web.StreamResponse] = lambda _, __: web.Response(
            status=500
        )
        service.answers["/mcp"] = self.handle

    @property
    def url(self) -> str:
        return f"{self.service.url}/mcp"

    @property
    def methods(self) -> list[str]:
        return [json.loads(body)["method"] for body in self.service.bodies if body]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.method == "DELETE":
            return web.Response(status=204)
        message = json.loads(self.service.bodies[-1]) if request.method == "POST" else {}
        match message.get("method"):
            case "initialize":
                result = {
                    "protocolVersion": message["params"]["protocolVersion"],
                    "capabilities": {},
                    "serverInfo": {"name": "scripted", "version": "1"},
                }
                return _json({"jsonrpc": "2.0", "id": message["id"], "result": result}, session="s-1")
            case "notifications/initialized" | "notifications/cancelled":
                return web.Response(status=202)
            case _:
                answer = self.answer(request, message)
                return await answer if asyncio.iscoroutine(answer) else answer


def _json(value: object, session: str | None = None) -> web.Response:
    headers = {"Mcp-Session-Id": session} if session else {}
    return web.json_response(value, headers=headers)


def result(message: dict, value: object) -> web.Response:
    return _json({"jsonrpc": "2.0", "id": message["id"], "result": value})


@pytest.fixture
def scripted(service: Service) -> Scripted:
    return Scripted(service)


async def test_a_session_is_started_first_and_ended_last(mcp, scripted) -> None:
    """J23"""
    scripted.answer = lambda _, message: result(message, {"tools": []})
    assert await mcp(scripted.url, "tools/list", headers={"X-Mine": "1"}) == Completed({"tools": []})
    assert scripted.methods == ["initialize", "notifications/initialized", "tools/list"]
    started = json.loads(scripted.service.bodies[0])["params"]
    assert started["protocolVersion"] == "2025-06-18"
    requests = scripted.service.requests
    assert [request.method for request in requests] == ["POST", "POST", "POST", "DELETE"]
    assert [request.headers.get("Mcp-Session-Id") for request in requests] == [None, "s-1", "s-1", "s-1"]
    assert {request.headers.get("MCP-Protocol-Version") for request in requests[1:]} == {"2025-06-18"}
    assert {request.headers.get("X-Mine") for request in requests} == {"1"}
    assert not any("Idempotency-Key" in request.headers for request in requests)


async def test_all_pages_of_a_list_are_one_list(mcp, scripted) -> None:
    pages = {None: (["a", "b"], "2"), "2": (["c"], "3"), "3": (["d"], None)}

    def answer(_, message: dict) -> web.Response:
        names, following = pages[message.get("params", {}).get("cursor")]
        tools = [{"name": name, "inputSchema": {"type": "object"}} for name in names]
        return result(message, {"tools": tools, **({"nextCursor": following} if following else {})})

    scripted.answer = answer
    outcome = await mcp(scripted.url, "tools/list")
    assert [tool["name"] for tool in outcome.output["tools"]] == ["a", "b", "c", "d"]
    assert "nextCursor" not in outcome.output
    page = await mcp(scripted.url, "tools/list", parameters={"cursor": "2"})
    assert [tool["name"] for tool in page.output["tools"]] == ["c"]
    assert page.output["nextCursor"] == "3"


async def test_a_list_that_does_not_end_is_a_runtime_error(mcp, scripted) -> None:
    scripted.answer = lambda _, message: result(message, {"tools": [], "nextCursor": "again"})
    kind, _, detail = error_of(await mcp(scripted.url, "tools/list"))
    assert kind == "runtime"
    assert "does not end" in detail


async def test_members_that_the_library_does_not_know_are_kept(mcp, scripted) -> None:
    value = {"content": [], "isError": False, "extra": {"a": None}, "_meta": {"x/y": 1}}
    scripted.answer = lambda _, message: result(message, value)
    assert await mcp(scripted.url, parameters={"name": "x"}) == Completed(value)


MALFORMED = {
    "not JSON": (lambda _: web.Response(text="<html>", content_type="application/json"), "JSON-RPC"),
    "not JSON-RPC": (lambda _: _json({"a": 1}), "JSON-RPC"),
    "another id": (lambda m: _json({"jsonrpc": "2.0", "id": 99, "result": {}}), "another request"),
    "another type": (lambda _: web.Response(text="hello"), "neither JSON nor"),
    "no content": (lambda _: web.Response(status=202), "neither JSON nor"),
    "deep": (
        lambda m: web.Response(
            body=b'{"jsonrpc":"2.0","id":%d,"result":%s1%s}' % (m["id"], b'{"a":' * 5000, b"}" * 5000),
            content_type="application/json",
        ),
        "JSON-RPC",
    ),
    "events without an answer": (
        lambda _: web.Response(body=b": hello\n\ndata: \n\n", content_type="text/event-stream"),
        "without an answer",
    ),
    "an event that is no message": (
        lambda _: web.Response(body=b"data: {]\n\n", content_type="text/event-stream"),
        "JSON-RPC",
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_an_answer_that_cannot_be_read_is_a_communication_error(mcp, scripted, name) -> None:
    answer, cause = MALFORMED[name]
    scripted.answer = lambda _, message: answer(message)
    kind, status, detail = error_of(await mcp(scripted.url, parameters={"name": "x"}))
    assert (kind, status) == ("communication", 500)
    assert cause in detail


async def test_a_result_of_another_shape_is_a_runtime_error(mcp, scripted) -> None:
    scripted.answer = lambda _, message: result(message, {"tools": "none"})
    kind, _, detail = error_of(await mcp(scripted.url, "tools/list"))
    assert kind == "runtime"
    assert "not valid" in detail


@pytest.mark.parametrize("status", [403, 404, 500, 503])
async def test_a_response_without_success_is_a_communication_error_with_its_status(
    mcp, scripted, status
) -> None:
    scripted.answer = lambda _, __: web.Response(status=status)
    assert error_of(await mcp(scripted.url, parameters={"name": "x"}))[:2] == ("communication", status)


async def test_an_error_of_the_protocol_can_have_any_status(mcp, scripted) -> None:
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": -32602, "message": "bad tool"}}
    scripted.answer = lambda _, __: web.json_response(error, status=400)
    kind, _, detail = error_of(await mcp(scripted.url, parameters={"name": "x"}))
    assert kind == "runtime"
    assert "bad tool (code -32602)" in detail


SMALL = ExecutorSettings(http_max_response_bytes=100_000)


@pytest.mark.parametrize("mcp", [SMALL], indirect=True)
@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
async def test_an_endless_answer_ends_at_the_limit(mcp, scripted, kind) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": kind})
        await response.prepare(request)
        while True:
            await response.write(b"id: 7\ndata: " + b"x" * 10_000)

    scripted.answer = lambda request, _: endless(request)
    outcome = await mcp(scripted.url, parameters={"name": "x"})
    assert error_of(outcome)[0] == "communication"
    assert outcome.error.title == "Response too large"


async def test_a_connection_that_breaks_is_a_communication_error(mcp, scripted) -> None:
    async def broken(request: web.Request) -> web.StreamResponse:
        request.transport.abort()
        return web.Response()

    scripted.answer = lambda request, _: broken(request)
    assert error_of(await mcp(scripted.url, parameters={"name": "x"}))[0] == "communication"


async def test_a_stream_that_breaks_off_continues_after_its_last_event(mcp, scripted) -> None:
    answers: list[dict] = []

    async def first(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b"id: 41\nretry: 10\ndata: \n\n")
        request.transport.abort()
        return response

    def answer(request: web.Request, message: dict):
        if request.method == "POST":
            answers.append({"jsonrpc": "2.0", "id": message["id"], "result": {"content": []}})
            return first(request)
        assert request.headers["Last-Event-ID"] == "41"
        assert request.headers["Mcp-Session-Id"] == "s-1"
        event = b"id: 42\r\ndata: %s\r\n\r\n" % json.dumps(answers[0]).encode()
        return web.Response(body=event, content_type="text/event-stream")

    scripted.answer = answer
    assert await mcp(scripted.url, parameters={"name": "x"}) == Completed({"content": []})


async def test_redirects_go_to_other_paths_of_the_server_only(mcp, scripted) -> None:
    scripted.answer = lambda _, message: result(message, {"content": []})
    service = scripted.service
    token = {"bearer": {"token": "some-token"}}
    service.answer("/old", status=307, Location="/mcp")
    outcome = await mcp(f"{service.url}/old", parameters={"name": "x"}, authentication=token)
    assert outcome == Completed({"content": []})
    assert service.requests[1].headers["Authorization"] == "Bearer some-token"
    service.answer("/away", status=307, Location=f"{service.elsewhere}/mcp")
    count = len(service.requests)
    outcome = await mcp(f"{service.url}/away", parameters={"name": "x"}, authentication=token)
    assert error_of(outcome)[:2] == ("communication", 307)
    assert len(service.requests) == count + 1
