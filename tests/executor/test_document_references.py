"""References to other documents: fetched with the document, pinned by one hash (inventory J13, J15)."""

import json
from typing import Any

import pytest
from aiohttp import web
from tests.executor.conftest import Service
from tests.executor.openapi_documents import openapi_3, parameter
from tests.executor.test_openapi import error_of, refused, unusable
from tests.task_contexts import TextsInMemory, task_context

from unspool.eventstore.records import TaskRequest
from unspool.executor.documents import fetching
from unspool.executor.handlers import default_handlers
from unspool.executor.outcome import Completed, FetchedText, Outcome
from unspool.executor.settings import ExecutorSettings

LIMIT = {"name": "limit", "in": "query", "schema": {"$ref": "schemas.yaml#/definitions/small"}}
SCHEMAS = "definitions: { small: { type: integer, maximum: 9 } }"


class Fetching:
    """Fetches documents as an executor does, and calls operations of them."""

    def __init__(self, handlers: Any, service: Service) -> None:
        self.handlers = handlers
        self.service = service
        self.texts = TextsInMemory()

    async def fetch(self, path: str = "/api/openapi.json", **endpoint: Any) -> Outcome:
        uri = path if ":" in path else f"{self.service.url}{path}"
        arguments = {"endpoint": {"uri": uri, **endpoint}, "kind": "document"}
        request = TaskRequest("e1", "r1", "/do/0/call", "resource", arguments)
        return await self.handlers["resource"](request, task_context())

    async def call(self, kind: str = "openapi", **arguments: Any) -> Outcome:
        fetched = await self.fetch()
        assert isinstance(fetched, FetchedText), fetched
        sha256 = await self.texts.put_text("default", fetched.text)
        named = {"document": {"uri": f"{self.service.url}/api/openapi.json", "sha256": sha256}}
        sent = {"$kind": kind, "$documents": named, **arguments}
        request = TaskRequest("e1", "r1", "/do/0/call", "call", sent)
        return await self.handlers[kind](request, task_context(self.texts))

    async def operation(self, **parameters: Any) -> Outcome:
        return await self.call(operationId="op", parameters=parameters)


@pytest.fixture
async def documents(service: Service, tmp_path, request: pytest.FixtureRequest):
    settings = getattr(
        request, "param", ExecutorSettings(resources_dir=str(tmp_path), resource_cache_seconds=0)
    )
    async with default_handlers(settings) as handlers:
        yield Fetching(handlers, service)


def described(service: Service, *parameters: Any, **members: Any) -> None:
    """The service has a document with one operation."""
    document = openapi_3("/x", {"parameters": list(parameters)}, **members)
    service.answer("/api/openapi.json", json.dumps({**document, "servers": [{"url": service.url}]}))
    service.answer("/x", '"done"', Content_Type="application/json")


class TestOpenApi:
    async def test_parts_of_other_documents_are_used(self, documents, service) -> None:
        described(
            service,
            {"$ref": "../parts/parameters.json#/limit"},
            {"$ref": "openapi.json#/components/parameters/page"},
            components={"parameters": {"page": parameter("page", "query")}},
        )
        service.answer("/parts/parameters.json", json.dumps({"limit": LIMIT}))
        service.answer("/parts/schemas.yaml", SCHEMAS)
        assert await documents.operation(limit=3, page=1) == Completed("done")
        assert service.requests[-1].query_string == "limit=3&page=1"
        refused(await documents.operation(limit=10), "'limit'", "9")

    async def test_operations_of_a_path_in_another_document(self, documents, service) -> None:
        described(service)
        document = json.loads((await documents.fetch()).text)
        service.answer("/api/path.json", json.dumps(document["paths"]["/x"]))
        document["paths"]["/x"] = {"$ref": "path.json"}
        service.answer("/api/openapi.json", json.dumps(document))
        assert await documents.operation() == Completed("done")

    async def test_documents_may_refer_to_each_other(self, documents, service) -> None:
        described(service, {"$ref": "a.json#/p"})
        service.answer("/api/a.json", json.dumps({"p": {"$ref": "b.json#/p"}, "q": {"$ref": "b.json#/q"}}))
        service.answer(
            "/api/b.json", json.dumps({"p": {"$ref": "a.json#/q"}, "q": {"$ref": "#/r"}, "r": LIMIT})
        )
        service.answer("/api/schemas.yaml", SCHEMAS)
        assert await documents.operation(limit=3) == Completed("done")
        assert [each.path for each in service.requests].count("/api/a.json") == 1

    async def test_a_circle_over_documents_ends(self, documents, service) -> None:
        described(service, {"$ref": "a.json#/p"})
        service.answer("/api/a.json", json.dumps({"p": {"$ref": "b.json#/p"}}))
        service.answer("/api/b.json", json.dumps({"p": {"$ref": "a.json#/p"}}))
        unusable(await documents.operation(), "circle")

    @pytest.mark.parametrize(
        ("reference", "cause"),
        [
            ("missing.json#/p", "/api/missing.json, to which it refers, cannot be used: "),
            ("a.json#/nowhere", "/api/a.json, to which it refers, has no '/nowhere'"),
            ("bad.json#/p", "/api/bad.json, to which it refers, cannot be used: 2:1: not YAML"),
            ("bad.json?key=hidden#/p", "/api/bad.json, to which it refers, cannot be used: 2:1: not YAML"),
            ("http://169.254.169.254/p#/p", "http://169.254.169.254/p, to which it refers, cannot be used: "),
            ("file:secret.json#/p", "file:secret.json, to which it refers, cannot be used: "),
            ("http://u:p@localhost/p#/p", "it contains credentials"),
        ],
    )
    async def test_the_error_names_the_document_that_is_wrong(
        self, documents, service, tmp_path, reference, cause
    ) -> None:
        (tmp_path / "secret.json").write_text('{"p": {"name": "secret", "in": "query"}}')
        service.answer("/api/a.json", "{}")
        service.answer("/api/bad.json", '{"a":')
        described(service, {"$ref": reference})
        outcome = await documents.operation()
        unusable(outcome, f"the OpenAPI document {service.url}/api/openapi.json: ", cause)
        assert "hidden" not in error_of(outcome)[2]

    async def test_a_bad_reference_that_is_not_used_does_no_harm(self, documents, service) -> None:
        described(service, components={"schemas": {"a": {"$ref": "missing.json"}, "b": {"$ref": "urn:b"}}})
        assert await documents.operation() == Completed("done")


class TestFetching:
    async def test_the_same_documents_make_the_same_text(self, documents, service) -> None:
        described(service, {"$ref": "a.json#/p"})
        service.answer("/api/a.json", json.dumps({"p": parameter("p", "query")}))
        assert await documents.fetch() == await documents.fetch()

    async def test_a_document_alone_is_as_it_was_fetched(self, documents, service) -> None:
        text = json.dumps({"a": {"$ref": "#/b"}, "b": {"$ref": "http://json-schema.org/draft-07/schema#"}})
        service.answer("/api/openapi.json", text)
        assert (await documents.fetch()).text == text
        assert len(service.requests) == 1

    async def test_files_refer_to_files_of_the_directory(self, documents, tmp_path) -> None:
        (tmp_path / "api").mkdir()
        (tmp_path / "api" / "openapi.yaml").write_text("a: { $ref: ../parts.yaml#/p }\nb: { $ref: ../../x }")
        (tmp_path / "parts.yaml").write_text("p: 7")
        fetched = json.loads((await documents.fetch("file:api/openapi.yaml")).text)
        others = fetched["x-unspool-documents"].values()
        assert {each["address"]: each.get("value") for each in others} == {
            "file:parts.yaml": {"p": 7},
            "file:x": None,
        }
        assert "value/p" in fetched["a"]["$ref"]

    async def test_credentials_are_for_the_server_of_the_document_only(self, documents, service) -> None:
        described(service, {"$ref": "a.json#/p"}, {"$ref": f"{service.elsewhere}/b.json#/p"})
        for path, name in (("/api/a.json", "a"), ("/b.json", "b")):
            service.answer(path, json.dumps({"p": parameter(name, "query")}))
        policy = {"basic": {"username": "u", "password": "p"}}
        assert isinstance(await documents.fetch(authentication=policy), FetchedText)
        sent = {each.path: "Authorization" in each.headers for each in service.requests}
        assert sent == {"/api/openapi.json": True, "/api/a.json": True, "/b.json": False}

    async def test_there_is_a_limit_of_documents(self, documents, service) -> None:
        async def endless(request):
            service.answers[f"{request.path}x"] = endless
            return web.json_response({"$ref": f"{request.path}x"})

        service.answers["/api/openapi.json"] = endless
        kind, _, detail = error_of(await documents.fetch())
        assert kind == "configuration"
        assert f"more than {fetching.MOST_DOCUMENTS}" in detail
        assert len(service.requests) == fetching.MOST_DOCUMENTS + 2

    @pytest.mark.parametrize(
        "documents", [ExecutorSettings(document_max_bytes=3000, resource_cache_seconds=0)], indirect=True
    )
    async def test_there_is_a_limit_of_bytes_for_all(self, documents, service) -> None:
        service.answer("/api/openapi.json", json.dumps({"a": {"$ref": "a.json"}, "b": {"$ref": "b.json"}}))
        for path in ("/api/a.json", "/api/b.json"):
            service.answer(path, json.dumps({"a": "x" * 2000}))
        assert "too large together" in error_of(await documents.fetch())[2]

    async def test_a_document_that_cannot_be_fetched_now_is_an_error_of_the_fetch(
        self, documents, service
    ) -> None:
        described(service, {"$ref": "a.json#/p"})
        service.answer("/api/a.json", status=503)
        assert error_of(await documents.fetch())[:2] == ("communication", 503)


class TestAsyncApi:
    async def test_parts_of_other_documents_are_used(self, documents, service) -> None:
        service.answer("/rooms")
        channel = {"address": "rooms", "messages": {"m": {"$ref": "messages.json#/m"}}}
        document = {
            "asyncapi": "3.0.0",
            "servers": {"main": {"host": f"127.0.0.1:{service.port}", "protocol": "http"}},
            "channels": {"rooms": channel},
            "operations": {"send": {"action": "send", "channel": {"$ref": "#/channels/rooms"}}},
        }
        service.answer("/api/openapi.json", json.dumps(document))
        payload = {"type": "object", "properties": {"n": {"$ref": "schemas.yaml#/definitions/small"}}}
        service.answer("/api/messages.json", json.dumps({"m": {"payload": payload}}))
        service.answer("/api/schemas.yaml", SCHEMAS)
        sent = {"operation": "send", "message": {"payload": {"n": 3}}}
        assert await documents.call("asyncapi", **sent) == Completed(None)
        assert service.requests[-1].path == "/rooms"
        outcome = await documents.call("asyncapi", **{**sent, "message": {"payload": {"n": 10}}})
        assert error_of(outcome)[0] == "validation"
