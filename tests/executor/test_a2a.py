"""`call: a2a` (inventory J22, V15; dsl-reference.md, "A2A Call")."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from tests.executor.conftest import Service
from tests.task_contexts import TextsInMemory, task_context

from unspool.eventstore.records import TaskRequest
from unspool.executor.a2a.card import read_card
from unspool.executor.documents.text import UnusableDocument
from unspool.executor.handlers import default_handlers
from unspool.executor.outcome import Completed, Faulted, Outcome
from unspool.executor.settings import ExecutorSettings

SERVER = Path(__file__).with_name("agents") / "a2a_server.py"
JSON = "application/json"
EVENTS = "text/event-stream"

Call = Callable[..., Awaitable[Outcome]]


@pytest.fixture(scope="module")
def agent() -> Iterator[str]:
    """The URL of an agent made with the official library, in a process of its own."""
    pytest.importorskip("a2a", reason="a2a-sdk is not installed")
    command = [sys.executable, str(SERVER)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        yield process.stdout.readline().decode().strip()
        process.kill()


@pytest.fixture
def reports() -> list:
    """What the calls of a test reported as progress."""
    return []


@pytest.fixture
async def a2a(request: pytest.FixtureRequest, reports: list) -> AsyncIterator[Call]:
    """Runs an `a2a` task: `await a2a(card_url, method, parameters=…)`, or `server=url` without a card."""
    settings = getattr(request, "param", ExecutorSettings())
    texts = TextsInMemory()
    async with default_handlers(settings) as handlers, aiohttp.ClientSession() as session:

        async def call(
            card: str | None, method: str = "message/send", run="r1", server=None, **others
        ) -> Outcome:
            arguments = {"$kind": "a2a", "method": method, **others}
            if server is not None:
                arguments["server"] = server
            if card is not None:
                async with session.get(card) as response:
                    sha256 = await texts.put_text("default", await response.text())
                arguments["$documents"] = {"agentCard": {"uri": card, "sha256": sha256}}
            task = TaskRequest("e1", run, "/do/0/call", "call", arguments)
            context = replace(task_context(texts), report=reports.append)
            return await handlers["a2a"](task, context)

        yield call


def error_of(outcome: Outcome) -> tuple[str, int, str]:
    assert isinstance(outcome, Faulted), outcome
    assert outcome.error.title
    return outcome.error.type.rpartition("/")[2], outcome.error.status, outcome.error.detail or ""


def message(text: str, **members: object) -> dict:
    return {"message": {"parts": [{"kind": "text", "text": text}], **members}}


def modern(text: str) -> dict:
    return {"message": {"parts": [{"text": text}]}}


def text_of(result: dict) -> str:
    return result["parts"][0]["text"]


# -- an agent made with the official library


async def test_a_message_is_sent_to_the_agent_of_a_card(a2a, agent) -> None:
    outcome = await a2a(f"{agent}/cards/old", parameters=message("hello"))
    assert (outcome.output["kind"], outcome.output["role"]) == ("message", "agent")
    assert text_of(outcome.output) == "hello to you"


async def test_a_message_is_sent_to_a_server(a2a, agent) -> None:
    outcome = await a2a(None, server={"uri": f"{agent}/rpc"}, parameters=message("hello"))
    assert text_of(outcome.output) == "hello to you"


async def test_an_agent_of_the_newer_version_gets_its_names_of_methods(a2a, agent) -> None:
    outcome = await a2a(f"{agent}/cards/new", parameters=modern("hello"))
    assert text_of(outcome.output["message"]) == "hello to you"
    done = (await a2a(f"{agent}/cards/new", parameters=modern("work"))).output["task"]
    assert done["status"]["state"] == "TASK_STATE_COMPLETED"
    read = await a2a(f"{agent}/cards/new", "tasks/get", parameters={"id": done["id"]})
    assert read.output["id"] == done["id"]
    listed = await a2a(f"{agent}/cards/new", "tasks/list")
    assert done["id"] in [task["id"] for task in listed.output["tasks"]]
    card = await a2a(f"{agent}/cards/new", "agent/getAuthenticatedExtendedCard")
    assert card.output["name"] == "test"


async def test_the_id_of_a_message_is_the_same_for_each_delivery_of_a_task(a2a, agent) -> None:
    """J22, I45"""
    card = f"{agent}/cards/old"
    first, again = [text_of((await a2a(card, parameters=message("id"))).output) for _ in range(2)]
    assert first == again
    assert text_of((await a2a(card, run="r2", parameters=message("id"))).output) != first
    own = await a2a(card, parameters=message("id", messageId="mine"))
    assert text_of(own.output) == "mine"


async def test_tasks_are_read_and_cancelled(a2a, agent, tmp_path, eventually) -> None:
    card = f"{agent}/cards/old"
    done = (await a2a(card, parameters=message("work"))).output
    assert done["status"]["state"] == "completed"
    assert text_of(done["artifacts"][0]) == "the report"
    assert (await a2a(card, "tasks/get", parameters={"id": done["id"]})).output["id"] == done["id"]
    file = tmp_path / "state"
    sent = {**message(f"wait {file}"), "configuration": {"blocking": False}}
    waiting = (await a2a(card, parameters=sent)).output
    await eventually(file.exists, "the agent works")
    cancelled = await a2a(card, "tasks/cancel", parameters={"id": waiting["id"]})
    assert cancelled.output["status"]["state"] == "canceled"
    await eventually(lambda: file.read_text() == "cancelled", "the agent sees the cancellation")


async def test_a_stream_becomes_a_list_in_order(a2a, agent) -> None:
    """J22"""
    outcome = await a2a(f"{agent}/cards/old", "message/stream", parameters=message("work"))
    assert [result["kind"] for result in outcome.output] == [
        "task",
        "status-update",
        "artifact-update",
        "status-update",
    ]
    assert outcome.output[-1]["status"]["state"] == "completed"
    newer = await a2a(f"{agent}/cards/new", "message/stream", parameters=modern("work"))
    assert [next(iter(result)) for result in newer.output] == [
        "task",
        "statusUpdate",
        "artifactUpdate",
        "statusUpdate",
    ]


async def test_the_stream_of_a_task_is_continued(a2a, agent, tmp_path, eventually, reports) -> None:
    card, file = f"{agent}/cards/old", tmp_path / "state"
    sent = {**message(f"wait {file}"), "configuration": {"blocking": False}}
    waiting = (await a2a(card, parameters=sent)).output
    await eventually(file.exists, "the agent works")
    stream = asyncio.create_task(a2a(card, "tasks/resubscribe", parameters={"id": waiting["id"]}))
    await eventually(lambda: bool(reports), "the stream has begun")
    assert reports[0]["results"] == 1
    await a2a(card, "tasks/cancel", parameters={"id": waiting["id"]})
    results = (await stream).output
    assert results[-1]["status"]["state"] == "canceled"


async def test_push_notifications_are_configured(a2a, agent) -> None:
    card = f"{agent}/cards/old"
    task = (await a2a(card, parameters=message("work"))).output["id"]
    method = "tasks/pushNotificationConfig"
    config = {"taskId": task, "pushNotificationConfig": {"id": "p1", "url": "http://example.com/hook"}}
    assert await a2a(card, f"{method}/set", parameters=config) == Completed(config)
    named = {"id": task, "pushNotificationConfigId": "p1"}
    assert await a2a(card, f"{method}/get", parameters=named) == Completed(config)
    assert await a2a(card, f"{method}/list", parameters={"id": task}) == Completed([config])
    assert await a2a(card, f"{method}/delete", parameters=named) == Completed(None)
    assert await a2a(card, f"{method}/list", parameters={"id": task}) == Completed([])


async def test_an_error_that_the_agent_answers_is_a_runtime_error(a2a, agent) -> None:
    """V15"""
    for card, text in (("old", message("break")), ("new", modern("break"))):
        kind, status, detail = error_of(await a2a(f"{agent}/cards/{card}", parameters=text))
        assert (kind, status) == ("runtime", 500)
        assert "out of order" in detail
    kind, _, detail = error_of(await a2a(f"{agent}/cards/old", "tasks/get", parameters={"id": "none"}))
    assert kind == "runtime"
    assert "(code -32001)" in detail
    kind, _, detail = error_of(
        await a2a(f"{agent}/cards/old", "tasks/resubscribe", parameters={"id": "none"})
    )
    assert kind == "runtime"


@pytest.mark.parametrize("card", ["key", "token"])
async def test_credentials_go_where_the_card_says(a2a, agent, card) -> None:
    """J22: in the header of its API key, or as a bearer token"""
    right = {"bearer": {"token": "open-sesame"}}
    outcome = await a2a(f"{agent}/cards/{card}", parameters=message("hello"), authentication=right)
    assert text_of(outcome.output) == "hello to you"
    wrong = {"bearer": {"token": "guessed-token"}}
    kind, status, detail = error_of(
        await a2a(f"{agent}/cards/{card}", parameters=message("hello"), authentication=wrong)
    )
    assert (kind, status) == ("communication", 401)
    assert "guessed" not in detail


async def test_a_cancelled_call_ends_its_connection(a2a, agent, tmp_path, eventually) -> None:
    file = tmp_path / "state"
    call = asyncio.create_task(
        a2a(f"{agent}/cards/old", "message/stream", parameters=message(f"wait {file}"))
    )
    await eventually(file.exists, "the agent works")
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


SHORT = ExecutorSettings(http_timeout_seconds=2)


@pytest.mark.parametrize("a2a", [SHORT], indirect=True)
@pytest.mark.parametrize("method", ["message/send", "message/stream"])
async def test_a_call_that_takes_too_long_is_a_timeout_error(a2a, agent, tmp_path, method) -> None:
    outcome = await a2a(f"{agent}/cards/old", method, parameters=message(f"wait {tmp_path / 'state'}"))
    kind, status, detail = error_of(outcome)
    assert (kind, status) == ("timeout", 408)
    assert "longer than 2 s" in detail


# -- agents that do not behave


def answer(value: object, **members: object) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": value, **members})


async def test_the_request_is_one_of_json_rpc(a2a, service: Service) -> None:
    service.answer("/rpc", answer({"kind": "message"}), Content_Type=JSON)
    server = {"uri": f"{service.url}/rpc", "authentication": {"basic": {"username": "u", "password": "p"}}}
    outcome = await a2a(None, server=server, parameters=message("hi"))
    assert outcome == Completed({"kind": "message"})
    sent = json.loads(service.bodies[0])
    assert (sent["jsonrpc"], sent["method"]) == ("2.0", "message/send")
    assert sent["params"]["message"]["role"] == "user"
    headers = service.requests[0].headers
    assert headers["Authorization"] == "Basic dTpw"
    assert headers["Idempotency-Key"] == "e1/r1"
    assert headers["Content-Type"] == JSON


@pytest.mark.parametrize(
    ("body", "kind", "cause"),
    [
        ("<html>", JSON, "not valid JSON"),
        ("[1]", JSON, "not an answer of JSON-RPC"),
        ('{"a": 1}', JSON, "not an answer of JSON-RPC"),
        (answer(1, id=2), JSON, "another request"),
        ('{"jsonrpc":"2.0","id":1,"result":' + "[" * 5000 + "]" * 5000 + "}", JSON, ""),
        ("data: {]\n\n", EVENTS, "not valid JSON"),
        (f"data: {answer(1)}\n\ndata: {answer(2, id=3)}\n\n", EVENTS, "another request"),
    ],
)
async def test_an_answer_that_cannot_be_read_is_a_communication_error(
    a2a, service: Service, body, kind, cause
) -> None:
    service.answer("/rpc", body, Content_Type=kind)
    outcome = await a2a(None, "message/stream", server={"uri": f"{service.url}/rpc"}, parameters=message("x"))
    error, status, detail = error_of(outcome)
    assert (error, status, outcome.error.title) == ("communication", 500, "Unreadable response")
    assert cause in detail


async def test_an_error_in_a_stream_is_a_runtime_error(a2a, service: Service) -> None:
    failed = json.dumps({"jsonrpc": "2.0", "id": 1, "error": {"code": -32603, "message": "broken"}})
    service.answer("/rpc", f"data: {answer(1)}\n\ndata: {failed}\n\n", Content_Type=EVENTS)
    outcome = await a2a(None, "message/stream", server={"uri": f"{service.url}/rpc"}, parameters=message("x"))
    kind, _, detail = error_of(outcome)
    assert kind == "runtime"
    assert "broken (code -32603)" in detail


async def test_the_last_update_of_a_task_ends_a_stream(a2a, service: Service) -> None:
    last = {"kind": "status-update", "final": True}

    async def respond(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": EVENTS})
        await response.prepare(request)
        await response.write(f"data: {answer(1)}\r\n\r\ndata: {answer(last)}\r\n\r\n".encode())
        await asyncio.sleep(3600)
        return response

    service.answers["/rpc"] = respond
    outcome = await a2a(None, "message/stream", server={"uri": f"{service.url}/rpc"}, parameters=message("x"))
    assert outcome == Completed([1, last])


@pytest.mark.parametrize("a2a", [ExecutorSettings(http_max_response_bytes=100_000)], indirect=True)
@pytest.mark.parametrize("piece", ["data: " + "x" * 10_000, f"data: {answer(1)}\n\n"])
@pytest.mark.parametrize("kind", [JSON, EVENTS])
async def test_an_endless_answer_ends_at_the_limit(a2a, service: Service, piece, kind) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": kind})
        await response.prepare(request)
        while True:
            await response.write(piece.encode())

    service.answers["/rpc"] = endless
    outcome = await a2a(None, "message/stream", server={"uri": f"{service.url}/rpc"}, parameters=message("x"))
    assert error_of(outcome)[0] == "communication"
    assert outcome.error.title == "Response too large"


async def test_a_stream_that_breaks_off_is_a_communication_error(a2a, service: Service) -> None:
    async def broken(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": EVENTS})
        await response.prepare(request)
        await response.write(f"data: {answer(1)}\n\n".encode())
        request.transport.abort()
        return response

    service.answers["/rpc"] = broken
    outcome = await a2a(None, "message/stream", server={"uri": f"{service.url}/rpc"}, parameters=message("x"))
    assert error_of(outcome)[0] == "communication"


@pytest.mark.parametrize("status", [302, 401, 404, 500])
async def test_a_response_without_success_is_a_communication_error(a2a, service: Service, status) -> None:
    service.answer("/rpc", status=status)
    outcome = await a2a(None, server={"uri": f"{service.url}/rpc"}, parameters=message("x"))
    assert error_of(outcome)[:2] == ("communication", status)


async def test_an_error_of_json_rpc_can_have_any_status(a2a, service: Service) -> None:
    failed = json.dumps({"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "bad request"}})
    service.answer("/rpc", failed, status=400, Content_Type=JSON)
    outcome = await a2a(None, server={"uri": f"{service.url}/rpc"}, parameters=message("x"))
    assert error_of(outcome)[0] == "runtime"


@pytest.mark.parametrize("a2a", [ExecutorSettings(egress="public")], indirect=True)
async def test_addresses_pass_the_egress_policy(a2a, service: Service) -> None:
    service.answer("/card", json.dumps({"url": f"{service.url}/rpc"}))
    assert error_of(await a2a(f"{service.url}/card"))[0] == "authorization"
    assert error_of(await a2a(None, server={"uri": "http://169.254.169.254/"}))[0] == "authorization"


async def test_credentials_of_a_card_go_to_its_origin_only(a2a, service: Service) -> None:
    service.answer("/card", json.dumps({"url": f"{service.elsewhere}/rpc"}))
    service.answer("/rpc", answer(1), Content_Type=JSON)
    token = {"bearer": {"token": "some-token"}}
    assert await a2a(f"{service.url}/card", parameters=message("x"), authentication=token) == Completed(1)
    assert "Authorization" not in service.requests[-1].headers


@pytest.mark.parametrize(
    ("arguments", "cause"),
    [({"method": "message/drop"}, "not a method"), ({"parameters": "text"}, "parameters must be a map")],
)
async def test_bad_arguments_are_configuration_errors(a2a, arguments, cause) -> None:
    kind, _, detail = error_of(await a2a(None, server={"uri": "http://127.0.0.1:9/"}, **arguments))
    assert kind == "configuration"
    assert cause in detail


@pytest.mark.parametrize(
    "card",
    ["<html>", "[]", "{}", '{"url": "http://x", "preferredTransport": "GRPC"}', '{"url": "http://[x"}'],
)
async def test_a_card_that_cannot_be_used_is_a_configuration_error(a2a, service: Service, card) -> None:
    service.answer("/card", card)
    kind, _, detail = error_of(await a2a(f"{service.url}/card?key=hidden", parameters=message("x")))
    assert kind == "configuration"
    assert "hidden" not in detail


# -- cards


def interface(card: dict) -> tuple[str, bool]:
    found = read_card(card, "https://example.com/.well-known/agent-card.json").interface
    return found.url, found.modern


def test_the_interface_of_a_card_speaks_json_rpc() -> None:
    old = {"url": "https://a/1", "protocolVersion": "0.3.0"}
    assert interface(old) == ("https://a/1", False)
    others = [{"url": "https://a/2", "transport": "GRPC"}, {"url": "https://a/3", "transport": "JSONRPC"}]
    card = {**old, "preferredTransport": "HTTP+JSON", "additionalInterfaces": others}
    assert interface(card) == ("https://a/3", False)
    new = {"url": "https://a/4", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
    assert interface({"supportedInterfaces": [new]}) == ("https://a/4", True)
    both = [new, {"url": "https://a/5", "protocolBinding": "JSONRPC", "protocolVersion": "0.3"}]
    assert interface({"supportedInterfaces": both}) == ("https://a/5", False)
    assert interface({"url": "/rpc"}) == ("https://example.com/rpc", False)


def test_a_card_without_json_rpc_names_what_it_has() -> None:
    with pytest.raises(UnusableDocument, match=r"JSONRPC.*GRPC"):
        read_card({"url": "https://a", "preferredTransport": "GRPC"}, "https://a")


KEY = {"type": "apiKey", "in": "query", "name": "k"}
NEW_KEY = {"apiKeySecurityScheme": {"location": "cookie", "name": "k"}}
BEARER = {"type": "http", "scheme": "bearer"}


@pytest.mark.parametrize(
    ("schemes", "required", "place"),
    [
        ({"a": KEY}, {}, "query"),
        ({"a": NEW_KEY}, {}, "cookie"),
        ({"a": KEY, "b": BEARER}, {}, None),
        ({"a": KEY, "b": BEARER}, {"security": [{"a": []}]}, "query"),
        ({"a": NEW_KEY, "b": BEARER}, {"securityRequirements": [{"schemes": {"b": {}}}]}, None),
        ({"a": {"type": "apiKey", "in": "body", "name": "k"}}, {}, None),
    ],
)
def test_an_api_key_has_the_place_that_the_card_says(schemes, required, place) -> None:
    card = read_card({"url": "https://a", "securitySchemes": schemes, **required}, "https://a")
    keyed = card.security.key_for({"bearer": {"token": "t"}})
    assert (None if keyed is None else keyed[0].place) == place
