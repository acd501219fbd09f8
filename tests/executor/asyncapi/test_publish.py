"""Publishing with AsyncAPI documents over HTTP, WebSocket and Redis (inventory J15, J16)."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis.asyncio
from aiohttp import WSMsgType, web
from tests.executor.asyncapi import programs
from tests.executor.asyncapi.conftest import AsyncApi, document
from tests.executor.conftest import Service

from unspool.eventstore.monitoring.trace_context import trace_context
from unspool.executor.outcome import Completed, Faulted
from unspool.executor.settings import ExecutorSettings

HELLO = {"payload": {"text": "Hello"}}


def _error(outcome: object) -> tuple[str, str]:
    assert isinstance(outcome, Faulted), outcome
    return outcome.error.type.rpartition("/")[2], str(outcome.error.detail)


# -- HTTP


@pytest.mark.parametrize("version", [2, 3])
async def test_http_sends_the_payload_and_the_headers(asyncapi: AsyncApi, service: Service, version: int):
    service.answer("/base/greetings", status=202)
    kind = {"contentType": "application/vnd.x+json"}
    described = document(f"{service.url}/base", version=version, message=kind)
    named = {"operation": "greet"} if version == 3 else {"channel": "greetings"}
    outcome = await asyncapi(described, **named, message={**HELLO, "headers": {"X-Room": "7"}})
    assert outcome == Completed(None)
    request = service.requests[0]
    assert (request.method, json.loads(service.bodies[0])) == ("POST", HELLO["payload"])
    assert request.headers["X-Room"] == "7"
    assert request.headers["Content-Type"] == "application/vnd.x+json"
    assert request.headers["Idempotency-Key"] == "e1/r1"


async def test_the_headers_have_the_trace_context(asyncapi: AsyncApi, service: Service):
    service.answer("/greetings")
    context = f"00-{'a' * 32}-{'b' * 16}-01"
    token = trace_context.set({"traceparent": context})
    try:
        assert await asyncapi(document(service.url), message=HELLO) == Completed(None)
        written = {**HELLO, "headers": {"Traceparent": "mine"}}
        assert await asyncapi(document(service.url), message=written) == Completed(None)
    finally:
        trace_context.reset(token)
    assert [each.headers["traceparent"] for each in service.requests] == [context, "mine"]


async def test_http_uses_the_method_of_the_binding(asyncapi: AsyncApi, service: Service):
    service.answer("/greetings")
    described = document(service.url, operation={"bindings": {"http": {"method": "PUT"}}})
    assert await asyncapi(described, message=HELLO) == Completed(None)
    assert service.requests[0].method == "PUT"


@pytest.mark.parametrize(
    ("status", "kind"), [(500, "communication"), (302, "communication"), (401, "authentication")]
)
async def test_http_faults_without_success(asyncapi: AsyncApi, service: Service, status: int, kind: str):
    service.answer("/greetings", status=status, Location="/elsewhere")
    policy = {"bearer": {"token": "s3cret"}}
    outcome = await asyncapi(document(service.url), message=HELLO, authentication=policy)
    found, detail = _error(outcome)
    assert found == kind
    assert "s3cret" not in detail
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    ("scheme", "header", "value"),
    [
        ({"type": "http", "scheme": "bearer"}, "Authorization", "Bearer t0ken"),
        ({"type": "httpApiKey", "in": "header", "name": "X-Key"}, "X-Key", "t0ken"),
        ({"type": "httpApiKey", "in": "cookie", "name": "key"}, "Cookie", "key=t0ken"),
    ],
)
@pytest.mark.parametrize("version", [2, 3])
async def test_credentials_go_where_the_document_says(
    asyncapi: AsyncApi, service: Service, version: int, scheme: dict, header: str, value: str
):
    service.answer("/greetings")
    security = [{"main": []}] if version == 2 else [{"$ref": "#/components/securitySchemes/main"}]
    described = document(
        service.url,
        version=version,
        server={"security": security},
        components={"securitySchemes": {"main": scheme}},
    )
    named = {"operation": "greet"} if version == 3 else {"channel": "greetings"}
    outcome = await asyncapi(described, **named, message=HELLO, authentication={"bearer": {"token": "t0ken"}})
    assert outcome == Completed(None)
    assert service.requests[0].headers[header] == value


@pytest.mark.parametrize("asyncapi", [ExecutorSettings(broker_timeout_seconds=0.2)], indirect=True)
async def test_a_server_that_does_not_answer_is_a_timeout(asyncapi: AsyncApi, service: Service):
    async def never(_: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    service.answers["/greetings"] = never
    assert _error(await asyncapi(document(service.url), message=HELLO))[0] == "timeout"


@pytest.mark.parametrize("asyncapi", [ExecutorSettings(egress="public")], indirect=True)
@pytest.mark.parametrize("protocol", ["http", "ws", "redis"])
async def test_the_egress_policy_holds(asyncapi: AsyncApi, service: Service, protocol: str):
    url = service.url.replace("http", protocol)
    assert _error(await asyncapi(document(url), message=HELLO))[0] == "authorization"
    assert not service.requests


@pytest.mark.parametrize("protocol", ["http", "ws", "redis"])
async def test_a_server_that_is_away_is_a_communication_error(
    asyncapi: AsyncApi, unused_tcp_port: int, protocol: str
):
    described = document(f"{protocol}://localhost:{unused_tcp_port}")
    found, detail = _error(await asyncapi(described, message=HELLO))
    assert found == "communication"
    assert f"localhost:{unused_tcp_port}" in detail


# -- WebSocket


class Chat:
    """A WebSocket server that records what it gets."""

    def __init__(self) -> None:
        self.frames: list[tuple[str, str | bytes]] = []
        self.headers: list[dict[str, str]] = []
        self.port = 0

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/moved":
            raise web.HTTPFound("/greetings")
        if request.path == "/private":
            raise web.HTTPUnauthorized
        socket = web.WebSocketResponse()
        self.headers.append(dict(request.headers))
        await socket.prepare(request)
        async for frame in socket:
            if frame.type in {WSMsgType.TEXT, WSMsgType.BINARY}:
                self.frames.append((request.path, frame.data))
        return socket


@pytest.fixture
async def chat() -> AsyncIterator[Chat]:
    chat = Chat()
    runner = web.ServerRunner(web.Server(chat.handle), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    chat.port = runner.addresses[0][1]
    yield chat
    await runner.cleanup()


async def test_websocket_sends_a_frame(asyncapi: AsyncApi, chat: Chat):
    message = {**HELLO, "headers": {"X-Room": "7"}}
    outcome = await asyncapi(document(f"ws://localhost:{chat.port}"), message=message)
    assert outcome == Completed(None)
    assert chat.frames == [("/greetings", '{"text":"Hello"}')]
    assert chat.headers[0]["X-Room"] == "7"


@pytest.mark.parametrize(("address", "kind"), [("moved", "communication"), ("private", "authentication")])
async def test_websocket_faults_without_a_handshake(asyncapi: AsyncApi, chat: Chat, address: str, kind: str):
    outcome = await asyncapi(document(f"ws://localhost:{chat.port}", address=address), message=HELLO)
    assert _error(outcome)[0] == kind
    assert not chat.frames


# -- Redis


async def test_redis_publishes_on_a_channel(asyncapi: AsyncApi, redis_database: str):
    async with redis.asyncio.Redis.from_url(redis_database) as client, client.pubsub() as listening:
        await listening.subscribe("greetings")
        await listening.get_message(timeout=60)
        assert await asyncapi(document(redis_database), message=HELLO) == Completed(None)
        message = await listening.get_message(timeout=60)
    assert message is not None
    assert message["data"] == b'{"text":"Hello"}'


async def test_redis_adds_to_a_stream(asyncapi: AsyncApi, redis_database: str):
    described = document(redis_database, channel={"bindings": {"redis": {"x-type": "stream"}}})
    assert await asyncapi(described, message={**HELLO, "headers": {"room": 7}}) == Completed(None)
    async with redis.asyncio.Redis.from_url(redis_database) as client:
        [(_, fields)] = await client.xrange("greetings")
    assert fields == {b"room": b"7", b"content-type": b"application/json", b"payload": b'{"text":"Hello"}'}


async def test_redis_refuses_headers_on_a_channel(asyncapi: AsyncApi, redis_database: str):
    outcome = await asyncapi(document(redis_database), message={**HELLO, "headers": {"room": "7"}})
    assert _error(outcome)[0] == "configuration"


async def test_redis_refuses_wrong_credentials(asyncapi: AsyncApi, redis_database: str):
    policy = {"basic": {"username": "eve", "password": "wr0ngpass"}}
    found, detail = _error(await asyncapi(document(redis_database), message=HELLO, authentication=policy))
    assert found == "authentication"
    assert "wr0ngpass" not in detail


@asynccontextmanager
async def tls_before(port: int, made: programs.Certificates) -> AsyncIterator[int]:
    """Yields the port of a server that ends TLS and passes the bytes on to a port of this machine."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.certificate, made.key)

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_server = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pass_on(reader, to_server[1]), pass_on(to_server[0], writer))

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def test_rediss_checks_the_certificate_for_the_name(
    asyncapi: AsyncApi, redis_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    made = programs.certificates(tmp_path)
    stream = {"bindings": {"redis": {"x-type": "stream"}}}
    async with tls_before(int(urlsplit(redis_database).port or 0), made) as port:
        here = document(f"rediss://localhost:{port}", channel=stream)
        unknown = await asyncapi(here, message=HELLO)
        monkeypatch.setenv("SSL_CERT_FILE", str(made.authority))
        assert await asyncapi(here, message=HELLO) == Completed(None)
        other = await asyncapi(document(f"rediss://127.0.0.1:{port}", channel=stream), message=HELLO)
    for outcome in (unknown, other):
        found, detail = _error(outcome)
        assert found == "communication"
        assert "no TLS connection could be made" in detail
    async with redis.asyncio.Redis.from_url(redis_database) as client:
        assert await client.xlen("greetings") == 1


# -- documents


def _refused(outcome: object) -> str:
    kind, detail = _error(outcome)
    assert kind == "configuration"
    return detail


async def test_another_protocol_names_those_supported(asyncapi: AsyncApi):
    detail = _refused(await asyncapi(document("pulsar://localhost"), message=HELLO))
    assert "'pulsar'" in detail
    assert "http" in detail
    assert "redis" in detail


async def test_the_protocol_chooses_a_server(asyncapi: AsyncApi, service: Service):
    service.answer("/greetings")
    described = document("pulsar://localhost")
    described["servers"]["second"] = document(service.url)["servers"]["main"]
    assert await asyncapi(described, protocol="http", message=HELLO) == Completed(None)
    assert "kafka" in _refused(await asyncapi(described, protocol="kafka", message=HELLO))


@pytest.mark.parametrize("version", [2, 3])
async def test_a_server_has_variables(asyncapi: AsyncApi, service: Service, version: int):
    service.answer("/eu/greetings")
    host = service.url.removeprefix("http://")
    described = document(f"http://{host}/{{region}}", version=version)
    described["servers"]["main"]["variables"] = {"region": {"default": "us", "enum": ["us", "eu"]}}
    named = {"operation": "greet"} if version == 3 else {"channel": "greetings"}
    chosen = {"name": "main", "variables": {"region": "eu"}}
    assert await asyncapi(described, **named, server=chosen, message=HELLO) == Completed(None)
    chosen["variables"]["region"] = "mars"
    assert "us, eu" in _refused(await asyncapi(described, **named, server=chosen, message=HELLO))


async def test_parameters_of_a_channel_come_from_the_message(asyncapi: AsyncApi, service: Service):
    service.answer("/users/42/greetings")
    described = document(
        service.url,
        address="users/{user}/greetings",
        channel={"parameters": {"user": {"location": "$message.payload#/user/id"}}},
    )
    outcome = await asyncapi(described, message={"payload": {"user": {"id": "42"}}})
    assert outcome == Completed(None)
    assert "'user'" in _refused(await asyncapi(described, message=HELLO))


async def test_parameters_of_a_channel_are_written_in_the_call(asyncapi: AsyncApi, service: Service):
    service.answer("/users/42/greetings")
    described = document(service.url, address="users/{user}/greetings", version=2)
    assert await asyncapi(described, channel="users/42/greetings", message=HELLO) == Completed(None)
    assert "users/{user}" in _refused(await asyncapi(described, channel="users", message=HELLO))


async def test_a_payload_that_does_not_match_is_a_validation_error(asyncapi: AsyncApi, service: Service):
    described = document(
        service.url,
        message={"payload": {"$ref": "#/components/schemas/Greeting"}},
        components={
            "schemas": {
                "Greeting": {"type": "object", "properties": {"text": {"$ref": "#/components/schemas/Text"}}},
                "Text": {"type": "integer"},
            }
        },
    )
    kind, detail = _error(await asyncapi(described, message=HELLO))
    assert kind == "validation"
    assert "/text" in detail
    assert not service.requests


async def test_the_first_message_that_matches_is_sent(asyncapi: AsyncApi, service: Service):
    service.answer("/greetings")
    number = {"payload": {"properties": {"text": {"type": "integer"}}}, "contentType": "application/one+json"}
    text = {"payload": {"properties": {"text": {"type": "string"}}}, "contentType": "application/two+json"}
    described = document(service.url, channel={"messages": {"number": number, "text": text}})
    assert await asyncapi(described, message=HELLO) == Completed(None)
    assert service.requests[0].headers["Content-Type"] == "application/two+json"


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("asyncapi: 1.2.0", "versions 2 and 3"),
        ("- a list", "mapping"),
        ("{", "file:api.json: "),
        ("[" * 100_000, "AsyncAPI document"),
        ("asyncapi: 3.0.0", "no operation 'greet'"),
        ('{"asyncapi": "3.0.0", "operations": {"greet": {"$ref": "#/operations/greet"}}}', "circle"),
        (
            '{"asyncapi": "3.0.0", "operations": {"greet": {"$ref": "https://a.test/"}}}',
            "https://a.test/, which was not fetched",
        ),
        (
            '{"asyncapi": "3.0.0", "operations": {"greet": {"channel": {"$ref": "#/x"}}}}',
            "'#/x' leads nowhere",
        ),
        ('{"asyncapi": "3.0.0", "operations": {"greet": {"channel": {"address": "a"}}}}', "no server"),
        ('{"asyncapi": "2.6.0"}', "'channel'"),
    ],
)
async def test_a_document_that_cannot_be_used_names_the_cause(asyncapi: AsyncApi, text: str, cause: str):
    detail = _refused(await asyncapi(text, message=HELLO))
    assert detail.startswith("the AsyncAPI document file:api.json: ")
    assert cause in detail


@pytest.mark.parametrize("headers", [{"a b": "x"}, {"Transfer-Encoding": "chunked"}, {"x": "a\r\nb: c"}])
async def test_hostile_headers_are_refused(asyncapi: AsyncApi, service: Service, headers: dict):
    _refused(await asyncapi(document(service.url), message={**HELLO, "headers": headers}))
    assert not service.requests
