"""Documents, answers and callers that mean harm, and calls that end early."""

import asyncio
import copy
import json
import time

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.executor.openapi_documents import openapi_3, parameter, swagger_2
from tests.executor.test_openapi import error_of, refused, unusable

from unspool.executor.authentication.credentials import NONE
from unspool.executor.documents.text import UnusableDocument
from unspool.executor.openapi.document import parse
from unspool.executor.openapi.operation import read_operation
from unspool.executor.openapi.request import prepare
from unspool.executor.outcome import Completed, Rejected
from unspool.executor.settings import ExecutorSettings

HEAD = "openapi: 3.0.0\n"
ALIASES = (
    HEAD + "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10))
)
MERGES = (
    HEAD
    + "a0: &a0 {x: 1}\n"
    + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}], k{n}: 1}}\n" for n in range(1, 10))
)


def nested_schema(levels: int) -> dict:
    schema: dict = {"type": "object"}
    for _ in range(levels):
        schema = {"allOf": [schema]}
    return schema


class TestDocuments:
    @pytest.mark.parametrize(
        ("text", "cause"),
        [
            (ALIASES, "aliases"),
            (MERGES, "no operation"),
            (HEAD + "a: &a [*a]", "a"),
            (HEAD + "a: " + "[" * 100_000, "deep"),
            ("[" * 100_000, "deep"),
            ('{"openapi": "3.0.0", "x": ' + '{"a":' * 500 + "1" + "}" * 501, "100 levels deep"),
            ('{"a":' * 100_000 + "1" + "}" * 100_000, "deep"),
            ("# " + "x" * 9_000_000, "YAML with more than 8388608 characters"),
            ('{"a": "' + "x" * 9_000_000, "not JSON"),
            (HEAD + "a: !!python/object/apply:os.system [x]", "tag"),
            (HEAD + "a: 1\na: 2", "3:1"),
        ],
        ids=range(11),
    )
    async def test_a_text_that_is_too_much(self, openapi, text, cause) -> None:
        started = time.process_time()
        unusable(await openapi(text, "op"), cause)
        assert time.process_time() - started < 10

    async def test_a_large_document(self, openapi, service) -> None:
        document = openapi_3("/x", {})
        document["components"] = {"schemas": {f"S{n}": {"description": "x" * 1000} for n in range(10_000)}}
        service.answer("/x", "1", Content_Type="text/plain")
        assert await openapi(document, "op") == Completed("1")

    @pytest.mark.parametrize(
        "schema",
        [
            nested_schema(40),
            {"allOf": [{"$ref": "#/components/schemas/a0"}] * 10},
            {"properties": {f"p{n}": {"properties": {"a": {}, "b": {}}} for n in range(3000)}},
            {"enum": list(range(100_000))},
            {"pattern": "(a+)+$"},
            {"pattern": "(" * 200 + ")" * 200},
            {"pattern": "a{1000}{1000}{1000}"},
            {"type": "string", "maxLength": -1},
            {"minimum": "x"},
        ],
        ids=range(9),
    )
    async def test_a_schema_that_is_too_much_does_not_stop_a_call(self, openapi, service, schema) -> None:
        document = openapi_3(
            "/x", {"requestBody": {"content": {"application/json": {"schema": schema}}}}, "post"
        )
        document["components"] = {
            "schemas": {
                f"a{n}": {"oneOf": [{"$ref": f"#/components/schemas/a{n + 1}"}] * 10} for n in range(30)
            }
        }
        service.answer("/x", "1", Content_Type="text/plain")
        started = time.process_time()
        outcome = await openapi(document, "op", parameters={"body": {"a": "a" * 5000 + "!"}})
        assert time.process_time() - started < 10
        assert outcome == Completed("1") or error_of(outcome)[0] == "validation"

    @pytest.mark.parametrize(
        ("document", "cause"),
        [
            (
                openapi_3("/x", {"parameters": [parameter(f"p{n}", "query") for n in range(501)]}),
                "500 parameters",
            ),
            (openapi_3("/" + "x" * 5000, {}), "path of 'op' has more than 4096"),
            (openapi_3("/x", {}, servers=[{"url": "https://" + "x" * 5000}]), "more than 4096 characters"),
            (
                openapi_3(
                    "/x",
                    {},
                    servers=[{"url": "{a}" * 1300, "variables": {"a": {"default": "x" * 4000}}}],
                ),
                "more than 4096 characters",
            ),
            (
                openapi_3("/x", {"requestBody": {"content": {"text/plain\r\nX-A: b": {}}}}, "post"),
                "the media type 'text/plain",
            ),
            (
                swagger_2("/x", {"parameters": [{"name": "b", "in": "body"}], "consumes": ["a\nb"]}, "post"),
                "media",
            ),
        ],
        ids=range(6),
    )
    async def test_limits(self, openapi, document, cause) -> None:
        unusable(await openapi(document, "op", parameters={"b": "x"}), cause)

    async def test_a_long_value_in_a_path(self, openapi) -> None:
        document = openapi_3("/{p}" * 50, {"parameters": [parameter("p", "path")]})
        refused(await openapi(document, "op", parameters={"p": "x" * 10_000}), "'p'", "8192 characters")

    async def test_names_of_headers(self, openapi, service) -> None:
        for name in ("a b", "x:y", "", "a\r\nb", "Content-Length", "Transfer-Encoding"):
            document = openapi_3("/x", {"parameters": [parameter(name, "header")]})
            unusable(await openapi(document, "op", parameters={name: "v"}), "header")
        assert service.requests == []


BASE = [
    openapi_3(
        "/x/{id}",
        {
            "parameters": [
                parameter("id", "path", {"type": "integer"}),
                parameter("q", "query", {"default": 1}),
            ],
            "requestBody": {
                "content": {
                    "multipart/form-data": {
                        "schema": {"$ref": "#/components/schemas/S"},
                        "encoding": {"a": {"contentType": "text/plain", "style": "form"}},
                    }
                }
            },
            "security": [{"k": []}],
            "responses": {"200": {"content": {"application/json": {}}}},
        },
        "post",
        servers=[{"url": "http://{h}/", "variables": {"h": {"default": "h"}}}],
        components={
            "schemas": {"S": {"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}}},
            "securitySchemes": {"k": {"type": "apiKey", "in": "header", "name": "K"}},
        },
    ),
    swagger_2(
        "/x/{id}",
        {
            "parameters": [
                {
                    "name": "id",
                    "in": "path",
                    "type": "array",
                    "items": {"type": "string"},
                    "collectionFormat": "ssv",
                },
                {"name": "b", "in": "body", "schema": {"$ref": "#/definitions/S"}},
            ],
            "consumes": ["application/json"],
            "produces": ["application/json"],
        },
        "put",
        definitions={"S": {"type": "object", "properties": {"a": {"type": "string"}}}},
        securityDefinitions={"k": {"type": "basic"}},
        schemes=["http"],
        host="h",
        basePath="/b",
    ),
]


def places(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in items:
        yield from places(member, (*path, key))


ANYTHING = st.sampled_from(
    [
        *(None, True, 0, -1.5, 10**400, "", "x", "#/", "#", "#/paths/~1x~1{id}", "{", "\r\n", "\0"),
        *([], [[]], [None], ["x"], {}, {"": {}}, {"a": ["b"]}),
        *({"$ref": "#/nowhere"}, {"$ref": 7}, {"$ref": "#"}),
    ]
)


@given(st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_a_document_says_the_outcome_is_a_request_or_an_error(data) -> None:
    document = copy.deepcopy(data.draw(st.sampled_from(BASE)))
    for _ in range(data.draw(st.integers(1, 3))):
        *parents, last = data.draw(st.sampled_from([path for path in places(document) if path]))
        owner = document
        for key in parents:
            owner = owner[key]
        owner[last] = copy.deepcopy(data.draw(ANYTHING))
    given_ = data.draw(
        st.sampled_from(
            [
                {},
                {"id": 1},
                {"id": ["a"], "a": "x"},
                {"id": {"k": 1}, "b": {"a": 1}},
                {"id": 1, "K": 1, "body": {}},
            ]
        )
    )
    try:
        operation = read_operation(parse(json.dumps(document)), "op")
        prepare(operation, "http://h/d", {"parameters": given_}, "key", lambda _: NONE)
    except (UnusableDocument, Rejected):
        pass


class TestCalls:
    DOCUMENT = openapi_3("/x", {})

    @pytest.mark.parametrize("openapi", [ExecutorSettings(http_timeout_seconds=0.2)], indirect=True)
    async def test_a_call_that_takes_too_long(self, openapi, service) -> None:
        async def never(_: web.Request) -> web.Response:
            await asyncio.sleep(60)
            return web.Response()

        service.answers["/x"] = never
        assert error_of(await openapi(self.DOCUMENT, "op"))[:2] == ("timeout", 408)

    async def test_a_cancelled_call_closes_its_connection(self, openapi, service, eventually) -> None:
        arrived = asyncio.Event()

        async def never(_: web.Request) -> web.Response:
            arrived.set()
            await asyncio.sleep(60)
            return web.Response()

        service.answers["/x"] = never
        call = asyncio.create_task(openapi(self.DOCUMENT, "op"))
        await asyncio.wait_for(arrived.wait(), 60)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        transport = service.requests[0].transport
        await eventually(lambda: transport is None or transport.is_closing(), "the connection is closed")

    @pytest.mark.parametrize("openapi", [ExecutorSettings(http_max_response_bytes=1000)], indirect=True)
    async def test_an_answer_that_is_too_large(self, openapi, service) -> None:
        service.answer("/x", b"x" * 1001)
        outcome = await openapi(self.DOCUMENT, "op")
        assert error_of(outcome)[:2] == ("communication", 500)
        assert outcome.error.title == "Response too large"

    async def test_a_server_that_does_not_answer(self, openapi, service) -> None:
        async def close(request: web.Request) -> web.Response:
            request.transport.close()
            return web.Response()

        service.answers["/x"] = close
        assert error_of(await openapi(self.DOCUMENT, "op"))[:2] == ("communication", 500)

    @pytest.mark.parametrize("openapi", [ExecutorSettings(egress="public")], indirect=True)
    async def test_the_egress_policy(self, openapi, service) -> None:
        assert error_of(await openapi(self.DOCUMENT, "op"))[:2] == ("authorization", 403)
        assert service.requests == []
