"""`call: grpc` (inventory J19-J21; dsl-reference.md, "gRPC Call") against a real server."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import grpc
import pytest
import pytest_asyncio
from aiohttp import web
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc
from tests.certificates import Authority
from tests.executor.conftest import Service, serving
from tests.greeter import PROTOS, SERVICE, TOKEN, Greeter, greeter, pool
from tests.task_contexts import TextsInMemory, task_context

from unspool.eventstore.monitoring.trace_context import trace_context
from unspool.eventstore.records import TaskRequest
from unspool.executor.egress import AddressScope, EgressPolicy
from unspool.executor.grpc.channels import Channels
from unspool.executor.grpc.proto_files import ProtoFiles, imports_of
from unspool.executor.grpc.target import Target, address_of, target_of
from unspool.executor.handlers import default_handlers
from unspool.executor.limits.limits import Limits
from unspool.executor.outbound import opened_outbound
from unspool.executor.outcome import Completed, Faulted, FetchedText, Outcome
from unspool.executor.settings import ExecutorSettings

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = ExecutorSettings(resources_dir=str(PROTOS), grpc_max_message_bytes=100_000)
TEXTS = TextsInMemory()

HEALTH = """
syntax = "proto3"; package grpc.health.v1;
message HealthCheckRequest { string service = 1; }
message HealthCheckResponse {
  enum ServingStatus { UNKNOWN = 0; SERVING = 1; NOT_SERVING = 2; SERVICE_UNKNOWN = 3; }
  ServingStatus status = 1;
}
service Health {
  rpc Check(HealthCheckRequest) returns (HealthCheckResponse);
  rpc Watch(HealthCheckRequest) returns (stream HealthCheckResponse);
}
"""
"""https://github.com/grpc/grpc-proto/blob/master/grpc/health/v1/health.proto, without comments."""

GREET = (
    'syntax = "proto3"; package GreeterApi; import "shared/a.proto"; import "google/protobuf/empty.proto"; '
    "message R { string message = 1; } service Greeter { rpc SayHello(b.B) returns (R); }"
)

HELLO = f"/{SERVICE}/SayHello"

Call = Callable[..., Awaitable[Outcome]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[Greeter]:
    async with greeter() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def handlers():
    async with default_handlers(SETTINGS) as opened:
        yield opened


async def fetch(handlers, uri: str, **endpoint) -> Outcome:
    arguments = {"endpoint": {"uri": uri, **endpoint}, "kind": "proto"}
    return await handlers["resource"](TaskRequest("e", "r", "/do/0/a", "resource", arguments), task_context())


def calling(handlers, port: int) -> Call:
    async def call(
        method: str,
        arguments: object = None,
        *,
        proto: str | None = "file:app/greet.proto",
        text: str | None = None,
        deadline: float | None = None,
        tls: bool | None = None,
        **service,
    ) -> Outcome:
        """Fetches the proto as an executor does, and calls a method."""
        if proto is not None and text is None:
            fetched = await fetch(handlers, proto)
            assert isinstance(fetched, FetchedText), fetched
            text = fetched.text
        documents = {}
        if text is not None:
            documents = {"proto": {"uri": "file:x", "sha256": await TEXTS.put_text("default", text)}}
        given = {
            "$kind": "grpc",
            "$documents": documents,
            "tls": tls,
            "service": {"name": SERVICE, "host": "127.0.0.1", "port": port, **service},
            "method": method,
        }
        if arguments is not None:
            given["arguments"] = arguments
        context = task_context(TEXTS, deadline=deadline)
        return await handlers["grpc"](TaskRequest("e1", "r1", "/do/0/call", "call", given), context)

    return call


@pytest_asyncio.fixture(loop_scope="module")
async def service() -> AsyncIterator[Service]:
    """An HTTP server on the loop of this module."""
    async with serving() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def call(server: Greeter, handlers) -> Call:
    """Calls a method of the server: `await call("SayHello", {"name": "Ada"})`."""
    return calling(handlers, server.port)


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def add_reflection(servicer: object, server: grpc.aio.Server) -> None:
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, server)


def error_of(outcome: Outcome) -> dict:
    assert isinstance(outcome, Faulted), outcome
    return outcome.error.to_json()


def kind(outcome: Outcome) -> tuple[str, int]:
    error = error_of(outcome)
    return error["type"].rpartition("/")[2], error["status"]


class TestUnary:
    async def test_the_answer_is_the_output(self, call) -> None:
        """J19"""
        assert await call("SayHello", {"name": "Ada"}) == Completed({"message": "Hello Ada"})

    async def test_a_call_without_arguments_sends_an_empty_message(self, call) -> None:
        assert await call("SayHello") == Completed({"message": "Hello "})

    async def test_a_service_can_be_named_without_its_package(self, call) -> None:
        """J20"""
        assert await call("SayHello", {"name": "Ada"}, name="Greeter") == Completed({"message": "Hello Ada"})

    async def test_messages_are_mapped_to_json_as_protocol_buffers_define_it(self, call) -> None:
        """J19"""
        sent = {
            "name": "Ada",
            "person": {"full_name": "Ada Lovelace", "emails": ["a@example.com"]},
            "friends": {"charles": {"fullName": "Charles Babbage"}},
            "guests": [{"fullName": "Mary"}],
            "visit_count": 9007199254740993,
            "mood": "HAPPY",
            "at": "2026-01-02T03:04:05Z",
            "photo": "AAE=",
            "echo": True,
            "anything": {"@type": "type.googleapis.com/people.Person", "fullName": "Any"},
        }
        outcome = await call("SayHello", sent)
        assert isinstance(outcome, Completed)
        assert outcome.output["request"] == {
            **{name: value for name, value in sent.items() if name not in {"person", "visit_count"}},
            "person": {"fullName": "Ada Lovelace", "emails": ["a@example.com"]},
            "visitCount": "9007199254740993",
        }

    async def test_metadata_has_the_idempotency_key_and_the_credentials(self, call) -> None:
        outcome = await call("SayHello", {"echo": True}, authentication={"bearer": {"token": "t0ken"}})
        assert isinstance(outcome, Completed)
        metadata = outcome.output["metadata"]
        assert (metadata["idempotency-key"], metadata["authorization"]) == ("e1/r1", TOKEN)
        basic = {"basic": {"username": "ada", "password": "pw"}}
        outcome = await call("SayHello", {"echo": True}, authentication=basic)
        assert isinstance(outcome, Completed)
        assert outcome.output["metadata"]["authorization"] == "Basic YWRhOnB3"

    async def test_metadata_has_the_trace_context(self, call) -> None:
        context = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"}
        token = trace_context.set(context)
        try:
            outcome = await call("SayHello", {"echo": True})
        finally:
            trace_context.reset(token)
        assert isinstance(outcome, Completed)
        assert outcome.output["metadata"]["traceparent"] == context["traceparent"]

    async def test_a_name_is_resolved_to_the_addresses_that_are_allowed(self, call) -> None:
        assert await call("SayHello", {"name": "Ada"}, host="localhost") == Completed(
            {"message": "Hello Ada"}
        )


class TestArguments:
    @pytest.mark.parametrize(
        ("arguments", "detail"),
        [
            ({"nam": "Ada"}, "arguments.nam: GreeterApi.HelloRequest has no such field"),
            ({"nam": "Ada"}, "did you mean 'name'?"),
            ({"nam": "Ada"}, "; it has name, person, friends,"),
            ({"person": {"age": 1}}, "arguments.person.age: people.Person has no such field"),
            ({"person": {"age": 1}}, "; it has fullName, emails"),
            ({"friends": {"x": {"y": 1}}}, "arguments.friends.x.y: people.Person has no such field"),
            ({"guests": [{}, {"y": 1}]}, "arguments.guests[1].y: people.Person has no such field"),
            ({"person": "Ada"}, "arguments.person: must be a mapping with the fields of people.Person"),
            ({"name": 5}, "arguments: they do not fit GreeterApi.HelloRequest: Failed to parse name field"),
            ({"visitCount": "many"}, "visitCount field"),
            ({"visitCount": 2**70}, "visitCount field"),
            ({"mood": "SAD"}, "mood"),
            ({"at": "yesterday"}, "at field"),
            ({"photo": "%"}, "arguments.photo: must be base64"),
            ({"name": "\ud800"}, "name"),
            ({"anything": {"@type": "x/no.Such"}}, "anything"),
            ([{"name": "Ada"}], "GreeterApi.Greeter/SayHello takes one message"),
            ("Ada", "must be a mapping"),
        ],
    )  # fmt: skip
    async def test_that_do_not_fit_are_a_validation_error(self, call, arguments, detail) -> None:
        outcome = await call("SayHello", arguments)
        assert kind(outcome) == ("validation", 400)
        assert detail in error_of(outcome)["detail"]

    async def test_deep_arguments_are_refused(self, call) -> None:
        deep: dict = {}
        for _ in range(5000):
            deep = {"@type": "type.googleapis.com/google.protobuf.Any", "value": deep}
        assert kind(await call("SayHello", {"anything": deep})) == ("validation", 400)

    @pytest.mark.parametrize(
        ("service", "method", "detail"),
        [
            ({"name": "Greter"}, "SayHello", "there is no service 'Greter', did you mean"),
            ({"name": "Other.Greeter"}, "SayHello", "there is GreeterApi.Greeter"),
            ({}, "SayHelo", "did you mean 'SayHello'?; it has Chat, Collect, SayHello, SayHellos"),
            ({"host": "a/b"}, "SayHello", "service.host"),
            ({"port": 0}, "SayHello", "service.port"),
            ({"authentication": {"digest": {"username": "a", "password": "b"}}}, "SayHello", "digest"),
            ({"authentication": {"bearer": {"token": "a\nb"}}}, "SayHello", "control characters"),
        ],
    )
    async def test_that_are_impossible_are_a_configuration_error(self, call, service, method, detail) -> None:
        outcome = await call(method, **service)
        assert kind(outcome) == ("configuration", 400)
        assert detail in error_of(outcome)["detail"]


class TestProtos:
    """J20: a proto is compiled at run time, with what it imports."""

    async def test_imports_are_fetched_beside_the_proto_and_above_it(self, handlers, service, server) -> None:
        service.answer("/v1/api/deep/greet.proto", GREET)
        service.answer(
            "/v1/api/shared/a.proto", 'syntax="proto3"; package a; import public "shared/b.proto";'
        )
        service.answer("/v1/api/shared/b.proto", 'syntax="proto3"; package b; message B { string name = 1; }')
        address = f"{service.url}/v1/api/deep/greet.proto"
        call = calling(handlers, server.port)
        assert await call("SayHello", {"name": "Ada"}, proto=address) == Completed({"message": "Hello Ada"})
        sent = [request.path for request in service.requests]
        assert sent == [
            "/v1/api/deep/greet.proto",
            "/v1/api/deep/shared/a.proto",
            "/v1/api/shared/a.proto",
            "/v1/api/shared/b.proto",
        ]
        await call("SayHello", {"name": "Ada"}, proto=address)
        assert len(service.requests) == 4, "the files are used again for some seconds"

    async def test_the_credentials_go_with_imports_to_the_same_host_only(self, handlers, service) -> None:
        service.answer("/greet.proto", 'syntax="proto3"; import "a.proto"; import "b.proto";')
        service.answer("/a.proto", 'syntax="proto3";')
        service.answer("/b.proto", status=302, Location=f"{service.elsewhere}/c.proto")
        service.answer("/c.proto", 'syntax="proto3";')
        token = {"bearer": {"token": "t0ken"}}
        outcome = await fetch(handlers, f"{service.url}/greet.proto", authentication=token)
        assert isinstance(outcome, FetchedText)
        sent = {request.path: request.headers.get("Authorization") for request in service.requests}
        assert sent == {"/greet.proto": TOKEN, "/a.proto": TOKEN, "/b.proto": TOKEN, "/c.proto": None}

    @pytest.mark.parametrize(
        ("text", "title"),
        [
            ('import "missing.proto";', "Not Found"),
            ('import "../../etc/passwd";', "Unusable import"),
            ('import "/etc/passwd";', "Unusable import"),
            ('import "http://other/x.proto";', "Unusable import"),
            ('import "a/../../b.proto";', "Unusable import"),
            ('import "-x.proto";', "Unusable import"),
            ('import "large.proto";', "Response too large"),
            ("".join(f'import "{n}.proto";' for n in range(300)), "Too many imports"),
        ],
        ids=range(8),
    )
    async def test_imports_that_cannot_be_fetched(self, handlers, service, text, title) -> None:
        service.answer("/api/greet.proto", text)
        service.answer("/api/large.proto", "x" * 5 * 1024 * 1024)
        for number in range(300):
            service.answer(f"/api/{number}.proto", "")
        error = error_of(await fetch(handlers, f"{service.url}/api/greet.proto"))
        assert error["title"] == title

    async def test_a_file_outside_of_the_directory_is_not_read(self, tmp_path) -> None:
        (tmp_path / "secret.proto").write_text('syntax="proto3";')
        folder = tmp_path / "in"
        folder.mkdir()
        (folder / "greet.proto").write_text('syntax="proto3"; import "secret.proto";')
        async with default_handlers(ExecutorSettings(resources_dir=str(folder))) as own:
            assert error_of(await fetch(own, "file:greet.proto"))["status"] == 404

    @pytest.mark.parametrize(
        ("text", "detail"),
        [
            ('syntax = "proto3";\nmessage A {\n  strng b = 1;\n}', 'a.proto:3:3: "strng" is not defined.'),
            ("", "there is none"),
            ("{", "Expected top-level statement"),
            ('import "a.proto";', "File recursively imports itself"),
        ],
    )
    async def test_a_malformed_proto_is_a_configuration_error(self, call, text, detail) -> None:
        outcome = await call("SayHello", text=ProtoFiles("a.proto", {"a.proto": text}).to_text())
        assert kind(outcome) == ("configuration", 400)
        assert detail in error_of(outcome)["detail"]

    async def test_the_place_is_named_if_the_address_does_not_end_with_proto(self, call) -> None:
        text = 'syntax = "proto3";\nmessage A {\n  strng b = 1;\n}'
        outcome = await call("SayHello", text=ProtoFiles("greet", {"greet": text}).to_text())
        assert 'greet:3:3: "strng" is not defined.' in error_of(outcome)["detail"]

    @pytest.mark.parametrize(
        "text",
        [
            'syntax = "proto3";' + "message A {" * 20_000,
            'syntax = "proto3"; message A { int32 a = 1 [' + "(a)." * 200_000,
            'syntax = "proto3"; option java_package = ' + '"x" ' * 500_000 + ";",
            'syntax = "proto3"; message A { reserved ' + "1," * 500_000,
        ],
        ids=range(4),
    )
    async def test_a_hostile_proto_ends_within_limits(self, call, text) -> None:
        started = time.monotonic()
        assert (
            kind(await call("X", text=ProtoFiles("a.proto", {"a.proto": text}).to_text()))[0]
            == "configuration"
        )
        assert time.monotonic() - started < 60

    async def test_a_text_that_no_executor_has_fetched_is_refused(self, call) -> None:
        for text in ("[]", "x", '{"main": "a", "files": {}}', '{"main": "../a", "files": {"../a": ""}}'):
            assert kind(await call("SayHello", text=text)) == ("configuration", 400)

    @pytest.mark.parametrize(
        ("text", "names"),
        [
            ('import "a"; import public "b";import weak\n"c" \'.proto\' ;', ["a", "b", "c.proto"]),
            ('// import "a.proto";\n/* import "b.proto"; */ import "c.proto";', ["c.proto"]),
            ('option x = "import \\"a.proto\\";"; message M { string import = 1; } import "b";', ["b"]),
            ('/* import "a.proto";', []),
            ('import "a.proto', []),
        ],
        ids=range(5),
    )  # fmt: skip
    async def test_import_statements(self, text, names) -> None:
        assert list(imports_of(text)) == names

    @pytest.mark.parametrize(
        "piece", ["/*", '"', "'", "import ", 'import "a" ', "\\", '"\\', "\0", "import\0", "import public "]
    )
    async def test_hostile_text_takes_linear_time(self, piece) -> None:
        started = time.process_time()
        list(imports_of(piece * (200_000 // len(piece))))
        assert time.process_time() - started < 20


class TestFailures:
    @pytest.mark.parametrize(
        ("code", "status"),
        [("NOT_FOUND", 404), ("UNAUTHENTICATED", 401), ("PERMISSION_DENIED", 403), ("UNAVAILABLE", 503),
         ("INVALID_ARGUMENT", 400), ("RESOURCE_EXHAUSTED", 429), ("ABORTED", 409), ("UNIMPLEMENTED", 501),
         ("DEADLINE_EXCEEDED", 504), ("CANCELLED", 499), ("INTERNAL", 500), ("UNKNOWN", 500)],
    )  # fmt: skip
    async def test_a_status_is_a_communication_error(self, call, server, code, status) -> None:
        """J21"""
        outcome = await call("SayHello", {"name": f"status {code} no such person"})
        assert kind(outcome) == ("communication", status)
        assert error_of(outcome)["title"] == code
        label = f"127.0.0.1:{server.port}/GreeterApi.Greeter/SayHello"
        assert error_of(outcome)["detail"] == f"{label} answered {code}: no such person"

    async def test_wrong_credentials_are_not_in_the_error(self, call) -> None:
        token = {"bearer": {"token": "wr0ng-token"}}
        outcome = await call("SayHello", {"name": "private"}, authentication=token)
        assert kind(outcome) == ("communication", 401)
        assert "wr0ng-token" not in error_of(outcome)["detail"]
        right = {"bearer": {"token": "t0ken"}}
        assert isinstance(await call("SayHello", {"name": "private"}, authentication=right), Completed)

    async def test_no_connection(self, call) -> None:
        error = error_of(await call("SayHello", port=1, host="localhost"))
        assert (error["title"], error["status"]) == ("No connection", 503)
        assert error["detail"].endswith("SayHello: the server refused the connection")
        assert "127.0.0.1" not in error["detail"]

    async def test_a_server_that_comes_back_is_called_again(self, handlers, unused_tcp_port) -> None:
        async with greeter(port=unused_tcp_port) as first:
            call = calling(handlers, first.port)
            assert await call("SayHello", {"name": "Ada"}) == Completed({"message": "Hello Ada"})
        assert kind(await call("SayHello")) == ("communication", 503)
        async with greeter(port=first.port):
            assert await call("SayHello", {"name": "Ada"}) == Completed({"message": "Hello Ada"})

    async def test_an_unknown_host(self, call) -> None:
        error = error_of(await call("SayHello", host="no-such-host.invalid"))
        assert error["title"] == "No connection"
        assert "could not be resolved" in error["detail"]

    @pytest.mark.parametrize("host", ["169.254.169.254", "0.0.0.0"])
    async def test_an_address_that_is_not_allowed(self, call, host) -> None:
        assert kind(await call("SayHello", host=host)) == ("authorization", 403)

    async def test_loopback_is_refused_if_only_public_addresses_are_allowed(self, server) -> None:
        settings = ExecutorSettings(egress="public", resources_dir=str(PROTOS))
        async with default_handlers(settings) as handlers:
            outcome = await calling(handlers, server.port)("SayHello", host="localhost")
        assert kind(outcome) == ("authorization", 403)

    async def test_a_server_that_speaks_something_else(self, handlers) -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()
            await writer.wait_closed()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as other:
            outcome = await calling(handlers, other.sockets[0].getsockname()[1])("SayHello")
        assert kind(outcome) == ("communication", 503)
        assert "does not speak gRPC" in error_of(outcome)["detail"]

    async def test_an_answer_that_is_too_large(self, call) -> None:
        outcome = await call("SayHello", {"name": "large 100000"})
        assert kind(outcome) == ("communication", 500)
        assert error_of(outcome)["title"] == "Response too large"
        assert isinstance(await call("SayHello", {"name": "large 90000"}), Completed)

    async def test_a_request_that_is_too_large(self, call) -> None:
        assert error_of(await call("SayHello", {"name": "x" * 100_000}))["title"] == "Request too large"

    async def test_an_answer_that_is_no_message(self, handlers) -> None:
        async def garbage(request, context) -> bytes:
            return b"\xff\xff\xff"

        other = grpc.method_handlers_generic_handler(
            "people.People", {"Get": grpc.unary_unary_rpc_method_handler(garbage)}
        )
        proto = (
            'syntax = "proto3"; package people; message P { string name = 1; } '
            "service People { rpc Get(P) returns (P); }"
        )
        text = ProtoFiles("p.proto", {"p.proto": proto}).to_text()
        async with greeter(other) as server:
            outcome = await calling(handlers, server.port)("Get", name="people.People", text=text)
        assert kind(outcome) == ("communication", 500)
        assert error_of(outcome)["title"] == "Unreadable response"


class TestStreams:
    """J19"""

    async def test_a_stream_of_answers_is_a_list(self, call) -> None:
        outcome = await call("SayHellos", {"name": "Ada 3"})
        assert outcome == Completed([{"message": f"Hello Ada {number}"} for number in range(3)])
        assert await call("SayHellos", {"name": "Ada 0"}) == Completed([])

    async def test_a_list_of_arguments_is_a_stream_of_requests(self, call) -> None:
        outcome = await call("Collect", [{"name": "Ada"}, {"name": "Mary"}])
        assert outcome == Completed({"names": ["Ada", "Mary"]})
        assert await call("Collect", {"name": "Ada"}) == Completed({"names": ["Ada"]})
        assert await call("Collect", []) == Completed({})

    async def test_both_at_once(self, call) -> None:
        outcome = await call("Chat", [{"name": "Ada"}, {"name": "Mary"}])
        assert outcome == Completed([{"message": "Hello Ada"}, {"message": "Hello Mary"}])

    async def test_an_item_that_does_not_fit_is_named(self, call) -> None:
        outcome = await call("Chat", [{"name": "Ada"}, {"nam": "Mary"}])
        assert "arguments[1].nam: " in error_of(outcome)["detail"]

    async def test_a_stream_that_fails_in_the_middle(self, call) -> None:
        assert kind(await call("SayHellos", {"name": "status 2"})) == ("communication", 409)
        outcome = await call("Chat", [{"name": "Ada"}, {"name": "status DATA_LOSS x"}])
        assert kind(outcome) == ("communication", 500)

    async def test_a_server_may_end_a_stream_before_it_has_all_messages(self, call) -> None:
        more = [{"name": "Mary"}] * 50
        for _ in range(5):  # the messages are sent while the server ends the call, in any order
            outcome = await call("Chat", [{"name": "Ada"}, {"name": "bye"}, *more])
            assert outcome == Completed([{"message": "Hello Ada"}, {"message": "Hello bye"}])
            outcome = await call("Chat", [{"name": "Ada"}, {"name": "status NOT_FOUND missing"}, *more])
            assert kind(outcome) == ("communication", 404)
            assert "missing" in error_of(outcome)["detail"]

    async def test_all_answers_together_have_a_largest_size(self, call) -> None:
        outcome = await call("SayHellos", {"name": "Ada 20000"})
        assert error_of(outcome)["title"] == "Response too large"

    async def test_a_cancelled_stream_is_cancelled_at_the_server(self, call, server) -> None:
        await until(lambda: server.waiting == 0)
        before = server.cancelled
        task = asyncio.create_task(call("SayHellos", {"name": "wait 2"}))
        await until(lambda: server.waiting == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: server.cancelled == before + 1)


class TestCredentials:
    async def test_a_token_that_the_server_refuses_is_replaced_once(self, handlers, server, service) -> None:
        """K4"""
        tokens = iter(["expired", "t0ken"])

        async def token(request: web.Request) -> web.Response:
            return web.json_response({"access_token": next(tokens), "token_type": "Bearer", "expires_in": 60})

        service.answers["/oauth2/token"] = token
        policy = {
            "oauth2": {
                "authority": service.url,
                "grant": "client_credentials",
                "client": {"id": "unspool", "secret": "s3cret"},
            }
        }
        call = calling(handlers, server.port)
        outcome = await call("SayHello", {"name": "private"}, authentication=policy)
        assert outcome == Completed({"message": "Hello private"})
        assert list(tokens) == []


class TestLimits:
    async def test_an_error_of_the_server_is_an_answer(self, unused_tcp_port) -> None:
        """Calls that wait for the one that tries the server are then made, too."""
        settings = replace(SETTINGS, circuit_failures=1, circuit_seconds=0.1)
        async with default_handlers(settings) as own:
            call = calling(own, unused_tcp_port)
            assert error_of(await call("SayHello"))["title"] == "No connection"
            server = grpc.aio.server()
            server.add_insecure_port(f"127.0.0.1:{unused_tcp_port}")
            await server.start()
            outcomes = await asyncio.gather(*(call("SayHello") for _ in range(3)))
            await server.stop(None)
        assert [error_of(outcome)["title"] for outcome in outcomes] == ["UNIMPLEMENTED"] * 3


class TestChannels:
    async def test_calls_share_a_connection_that_is_closed_when_it_is_not_used(self, server) -> None:
        policy = EgressPolicy(AddressScope.PRIVATE)
        async with opened_outbound(policy, Limits(SETTINGS, None), 1) as outbound:
            channels = Channels(outbound, 1000, idle_seconds=0.05)
            target = Target("127.0.0.1", server.port, tls=False)
            async with channels.channel(target) as first, channels.channel(target) as second:
                assert first is second
                assert await first.unary_unary(HELLO)(b"")
            await until(lambda: first.get_state() is grpc.ChannelConnectivity.SHUTDOWN)
            async with channels.channel(target) as third:
                assert third is not first
                assert await third.unary_unary(HELLO)(b"")
            await channels.close()
            assert third.get_state() is grpc.ChannelConnectivity.SHUTDOWN

    async def test_a_proxy_of_the_environment_is_not_used(self, handlers, server, monkeypatch) -> None:
        for name in ("http_proxy", "https_proxy", "grpc_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        async with default_handlers(SETTINGS) as own:
            outcome = await calling(own, server.port)("SayHello", {"name": "Ada"}, host="localhost")
        assert outcome == Completed({"message": "Hello Ada"})

    async def test_commands_can_run_beside_calls(self, server) -> None:
        settings = replace(SETTINGS, allow="shell")
        async with default_handlers(settings) as own:
            call = calling(own, server.port)
            waiting = asyncio.create_task(call("SayHello", {"name": "wait"}))
            await until(lambda: server.waiting == 1)
            arguments = {"command": "echo", "arguments": ["hello"]}
            request = TaskRequest("e", "r", "/do/0/a", "shell", arguments)
            assert await own["shell"](request, task_context()) == Completed("hello")
            assert await call("SayHello", {"name": "Ada"}) == Completed({"message": "Hello Ada"})
            waiting.cancel()

    async def test_without_the_library_the_error_names_what_to_install(self, monkeypatch) -> None:
        for module in [name for name in sys.modules if name.startswith("unspool.executor.grpc")]:
            monkeypatch.delitem(sys.modules, module)
        monkeypatch.setitem(sys.modules, "grpc", None)
        async with default_handlers(SETTINGS) as own:
            outcome = await calling(own, 1)("SayHello", proto=None)
        assert kind(outcome) == ("configuration", 400)
        assert "pip install 'unspool[grpc]'" in error_of(outcome)["detail"]


class TestReflection:
    """J20: without a proto, the server describes its services."""

    async def test_a_service_that_describes_itself(self, handlers) -> None:
        own = reflection.aio.ReflectionServicer([SERVICE], pool())
        async with greeter(register=lambda server: add_reflection(own, server)) as running:
            call = calling(handlers, running.port)
            for name in (SERVICE, "Greeter"):
                outcome = await call("SayHello", {"name": "Ada"}, name=name, proto=None)
                assert outcome == Completed({"message": "Hello Ada"})
            sent = [{"person": {"fullName": "Ada"}, "echo": True}]
            outcome = await call("Chat", sent, proto=None)
            assert isinstance(outcome, Completed)
            assert outcome.output[0]["request"] == sent[0]
            outcome = await call("SayHello", proto=None, name="Greter")
            assert kind(outcome) == ("configuration", 400)
            assert "did you mean 'Greeter'?" in error_of(outcome)["detail"]

    async def test_a_server_without_it(self, call) -> None:
        outcome = await call("SayHello", proto=None)
        assert kind(outcome) == ("configuration", 400)
        assert "needs a proto" in error_of(outcome)["detail"]

    async def test_no_connection(self, call) -> None:
        assert kind(await call("SayHello", proto=None, port=1)) == ("communication", 503)

    @pytest.mark.parametrize(
        "answer", ["garbage", "nothing", "descriptor", "circle", "endless", "error", "other"]
    )
    async def test_a_hostile_server(self, handlers, answer) -> None:
        def described(name: str, *imports: str, service: str = "") -> bytes:
            file = descriptor_pb2.FileDescriptorProto(name=name, dependency=imports, syntax="proto3")
            if service:
                file.service.add(name=service)
            return file.SerializeToString()

        def files_for(asked: str) -> list[bytes]:
            if answer == "descriptor":
                return [b"\xff"]
            if answer == "circle":
                return [described("a", "b", service="Greeter"), described("b", "a")]
            if answer == "other":
                return [described("a", service="Other")]
            name = asked or "0"
            return [described(name, str(int(name) + 1), service="" if asked else "Greeter")]

        async def answers(requests, context):
            async for question in requests:
                if answer == "nothing":
                    return
                reply = reflection_pb2.ServerReflectionResponse()
                asked = reflection_pb2.ServerReflectionRequest.FromString(question)
                if answer == "error":
                    reply.error_response.error_message = "no\nway " + "x" * 1000
                elif asked.HasField("list_services"):
                    reply.list_services_response.service.add(name="Greeter")
                else:
                    files = reply.file_descriptor_response.file_descriptor_proto
                    files.extend(files_for(asked.file_by_filename))
                yield b"\xff\xff" if answer == "garbage" else reply.SerializeToString()

        method = grpc.stream_stream_rpc_method_handler(answers)
        path = "grpc.reflection.v1alpha.ServerReflection"
        hostile = grpc.method_handlers_generic_handler(path, {"ServerReflectionInfo": method})
        async with greeter(hostile) as running:
            outcome = await calling(handlers, running.port)("SayHello", proto=None, name="Greeter")
        assert kind(outcome) == ("communication", 500)
        assert error_of(outcome)["title"] == "Reflection failed"
        assert len(error_of(outcome)["detail"]) < 400


class TestPeers:
    """A service that others wrote, grpcio-health-checking, by its proto and by reflection."""

    @pytest.mark.parametrize("text", [HEALTH, None], ids=["proto", "reflection"])
    async def test_the_health_service(self, handlers, text) -> None:
        servicer = health.aio.HealthServicer()
        await servicer.set("shop", health_pb2.HealthCheckResponse.NOT_SERVING)

        def register(server: grpc.aio.Server) -> None:
            health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
            reflection.enable_server_reflection(["grpc.health.v1.Health"], server)

        if text is not None:
            text = ProtoFiles("health.proto", {"health.proto": text}).to_text()
        async with greeter(register=register) as running:
            call = calling(handlers, running.port)
            outcome = await call("Check", {"service": "shop"}, name="Health", proto=None, text=text)
            assert outcome == Completed({"status": "NOT_SERVING"})
            outcome = await call("Check", {"service": "unknown"}, name="Health", proto=None, text=text)
            assert kind(outcome) == ("communication", 404)


class TestTls:
    async def test_a_server_with_a_certificate(self, handlers, authority, monkeypatch) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        async with greeter(credentials=authority.server("localhost")) as running:
            call = calling(handlers, running.port)
            outcome = await call("SayHello", {"name": "Ada"}, host="localhost", tls=True)
            assert outcome == Completed({"message": "Hello Ada"})
            outcome = await call("SayHello", host="127.0.0.1", tls=True)
            assert kind(outcome) == ("communication", 503)
            assert error_of(outcome)["detail"].endswith("the server's certificate is not valid for it")
            for tls in (False, None):
                outcome = await call("SayHello", host="localhost", tls=tls)
                assert kind(outcome) == ("communication", 503)

    async def test_a_certificate_of_an_unknown_authority(self, handlers, authority, monkeypatch) -> None:
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        async with greeter(credentials=authority.server("localhost")) as running:
            outcome = await calling(handlers, running.port)("SayHello", host="localhost", tls=True)
        assert kind(outcome) == ("communication", 503)
        assert error_of(outcome)["detail"].endswith("the server's certificate is not valid for it")

    async def test_a_server_without_tls(self, call) -> None:
        outcome = await call("SayHello", host="localhost", tls=True)
        assert kind(outcome) == ("communication", 503)
        assert error_of(outcome)["detail"].endswith("no TLS connection could be made")

    @pytest.mark.parametrize(
        ("service", "tls", "target"),
        [
            ({"host": "h"}, None, Target("h", 443, tls=True)),
            ({"host": "h", "port": 443}, None, Target("h", 443, tls=True)),
            ({"host": "h", "port": 443}, False, Target("h", 443, tls=False)),
            ({"host": "h", "port": 50051}, None, Target("h", 50051, tls=False)),
            ({"host": "h", "port": 50051}, True, Target("h", 50051, tls=True)),
        ],
    )
    async def test_the_port_decides_unless_the_task_does(self, service, tls, target) -> None:
        """J19"""
        assert target_of(service, tls=tls) == target

    async def test_all_addresses_of_a_name_are_tried(self) -> None:
        assert address_of(["10.0.0.1", "10.0.0.2", "10.0.0.1"], 5) == "ipv4:10.0.0.1:5,10.0.0.2:5"
        assert address_of(["::1", "127.0.0.1"], 5) == "ipv6:[::1]:5,[::ffff:127.0.0.1]:5"


class TestTime:
    async def test_the_deadline_of_the_task_is_told_to_the_server(self, call) -> None:
        deadline = asyncio.get_running_loop().time() + 50
        outcome = await call("SayHello", {"echo": True}, deadline=deadline)
        assert isinstance(outcome, Completed)
        assert 30 < outcome.output["secondsLeft"] <= 50
        outcome = await call("SayHello", {"echo": True})
        assert isinstance(outcome, Completed)
        assert 200 < outcome.output["secondsLeft"] <= 302  # gRPC sends three digits

    async def test_a_call_has_a_longest_time(self, server) -> None:
        settings = ExecutorSettings(grpc_timeout_seconds=0.2, resources_dir=str(PROTOS))
        async with default_handlers(settings) as handlers:
            outcome = await calling(handlers, server.port)("SayHello", {"name": "wait"})
        assert kind(outcome) == ("timeout", 408)
        assert error_of(outcome)["detail"].endswith("took longer than 0.2 s")

    async def test_a_call_at_its_deadline_leaves_the_error_to_the_execution(self, call, server) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + 0.2
        with pytest.raises(TimeoutError):
            async with asyncio.timeout_at(deadline + 0.05):
                await call("SayHello", {"name": "wait"}, deadline=deadline)

    async def test_a_cancelled_call_is_cancelled_at_the_server(self, call, server) -> None:
        await until(lambda: server.waiting == 0)
        before = server.cancelled
        task = asyncio.create_task(call("SayHello", {"name": "wait"}))
        await until(lambda: server.waiting == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: server.cancelled == before + 1)


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
