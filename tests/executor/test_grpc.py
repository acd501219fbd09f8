"""`call: grpc` (inventory J19-J21; dsl-reference.md, "gRPC Call") against a real server."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import grpc
import pytest
import pytest_asyncio
from tests.executor.conftest import Service, serving
from tests.greeter import PROTOS, SERVICE, TOKEN, Greeter, greeter
from tests.task_contexts import TextsInMemory, task_context

from unspool.eventstore.records import TaskRequest
from unspool.executor.grpc.proto_files import ProtoFiles, imports_of
from unspool.executor.handlers import default_handlers
from unspool.executor.outcome import Completed, Faulted, FetchedText, Outcome
from unspool.executor.settings import ExecutorSettings

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = ExecutorSettings(resources_dir=str(PROTOS), grpc_max_message_bytes=100_000)
TEXTS = TextsInMemory()

GREET = (
    'syntax = "proto3"; package GreeterApi; import "shared/a.proto"; import "google/protobuf/empty.proto"; '
    "message R { string message = 1; } service Greeter { rpc SayHello(b.B) returns (R); }"
)

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
        proto="file:app/greet.proto",
        text=None,
        deadline=None,
        **service,
    ) -> Outcome:
        """Fetches the proto as an executor does, and calls a method."""
        if text is None:
            fetched = await fetch(handlers, proto)
            assert isinstance(fetched, FetchedText), fetched
            text = fetched.text
        given = {
            "$kind": "grpc",
            "$documents": {"proto": {"uri": proto, "sha256": await TEXTS.put_text("default", text)}},
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

    async def test_a_server_that_comes_back_is_called_again(self, handlers) -> None:
        async with greeter() as first:
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
