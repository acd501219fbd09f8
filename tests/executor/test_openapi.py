"""`call: openapi` (inventory J13; dsl-reference.md, "OpenAPI Call") against a real server."""

import base64
import json

import pytest
import yaml
from tests.executor.openapi_documents import openapi_3, parameter, swagger_2

from unspool.executor.outcome import Completed, Faulted

LIST = {"type": "array", "items": {"type": "string"}}
JSON = {"Content_Type": "application/json"}


def error_of(outcome) -> tuple[str, int, str]:
    assert isinstance(outcome, Faulted), outcome
    error = outcome.error
    return error.type.rpartition("/")[2], error.status, error.detail or ""


def refused(outcome, *parts: str) -> None:
    """Asserts that a call was refused with a `validation` error that has these parts."""
    kind, status, detail = error_of(outcome)
    assert (kind, status) == ("validation", 400), detail
    for part in parts:
        assert part in detail


def unusable(outcome, *parts: str) -> None:
    """Asserts that a document could not be used."""
    kind, status, detail = error_of(outcome)
    assert (kind, status) == ("configuration", 400), detail
    for part in parts:
        assert part in detail


class TestOperation:
    async def test_an_operation_of_swagger_2(self, openapi, service) -> None:
        status = {"name": "status", "in": "query", "required": True, "collectionFormat": "multi", **LIST}
        document = swagger_2(
            "/pet/findByStatus",
            {"parameters": [status]},
            host=f"127.0.0.1:{service.port}",
            basePath="/v2",
            schemes=["ftp", "http"],
        )
        service.answer("/v2/pet/findByStatus", '[{"id": 1}]', **JSON)
        assert await openapi(document, "op", parameters={"status": "available"}) == Completed([{"id": 1}])
        assert await openapi(document, "op", parameters={"status": ["a", "b c"]}) == Completed([{"id": 1}])
        sent = [request.raw_path for request in service.requests]
        assert sent == ["/v2/pet/findByStatus?status=available", "/v2/pet/findByStatus?status=a&status=b%20c"]
        assert service.requests[0].headers["Accept"].startswith("application/json")
        assert service.requests[0].headers["Idempotency-Key"] == "e1/r1"

    @pytest.mark.parametrize("version", ["3.0.0", "3.0.3", "3.1.0", "3.1.1"])
    async def test_an_operation_of_openapi_3(self, openapi, service, version) -> None:
        document = openapi_3(
            "/pets/{petId}",
            {
                "parameters": [
                    parameter("petId", "path", {"type": "integer"}),
                    parameter("q", "query", {"type": "string"}),
                    parameter("X-Trace", "header", {"type": "string"}),
                    parameter("session", "cookie", {"type": "string"}),
                ],
                "requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}},
            },
            "put",
            version,
            servers=[{"url": "/api"}],
        )
        service.answer("/api/pets/7", '{"done": true}', **JSON)
        given = {"petId": 7, "q": "x&y", "X-Trace": "t", "session": "a b", "name": "Milou", "age": 3}
        assert await openapi(document, "op", parameters=given) == Completed({"done": True})
        request = service.requests[0]
        assert (request.method, request.raw_path) == ("PUT", "/api/pets/7?q=x%26y")
        assert request.headers["X-Trace"] == "t"
        assert request.headers["Cookie"] == "session=a%20b"
        assert request.headers["Content-Type"] == "application/json"
        assert json.loads(service.bodies[0]) == {"name": "Milou", "age": 3}

    async def test_a_document_in_yaml(self, openapi, service) -> None:
        document = yaml.safe_dump(openapi_3("/x", {}))
        service.answer("/x", "on", Content_Type="text/plain")
        assert await openapi(document, "op") == Completed("on")

    async def test_parameters_of_the_path_can_be_replaced(self, openapi, service) -> None:
        document = openapi_3("/x", {"parameters": [parameter("n", "query", {"type": "integer"})]})
        document["paths"]["/x"]["parameters"] = [
            parameter("n", "query", {"type": "string", "enum": ["never"]}),
            parameter("h", "header", {"type": "string"}),
        ]
        await openapi(document, "op", parameters={"n": 7, "h": "v"})
        assert service.requests[0].raw_path == "/x?n=7"
        assert service.requests[0].headers["h"] == "v"

    async def test_one_value_is_for_all_parameters_of_its_name(self, openapi, service) -> None:
        document = openapi_3("/x/{id}", {"parameters": [parameter("id", "path"), parameter("id", "query")]})
        await openapi(document, "op", parameters={"id": 1})
        assert service.requests[0].raw_path == "/x/1?id=1"

    async def test_references_within_the_document(self, openapi, service) -> None:
        tree = {"$ref": "#/components/schemas/Tree"}
        children = {"children": {"type": "array", "items": tree}}
        document = openapi_3(
            "/x/{a~b}",
            {
                "parameters": [
                    {"$ref": "#/components/parameters/again"},
                    {"$ref": "#/paths/~1y/get/parameters/0"},
                ],
                "requestBody": {"$ref": "#/components/requestBodies/b"},
            },
            "post",
            components={
                "parameters": {
                    "again": {"$ref": "#/components/parameters/real"},
                    "real": parameter("a~b", "path", {"$ref": "#/components/schemas/Id"}),
                },
                "requestBodies": {"b": {"content": {"application/json": {"schema": tree}}}},
                "schemas": {
                    "Id": {"type": "integer"},
                    "Tree": {"type": "object", "properties": children, "additionalProperties": False},
                },
            },
        )
        document["paths"]["/y"] = {"get": {"parameters": [parameter("q", "query", {"type": "boolean"})]}}
        given = {"a~b": 1, "q": True, "children": [{"children": [{}]}]}
        service.answer("/x/1", "{}", **JSON)
        assert await openapi(document, "op", parameters=given) == Completed({})
        assert service.requests[0].raw_path == "/x/1?q=true"
        given["children"][0]["children"][0]["leaf"] = 1
        outcome = await openapi(document, "op", parameters=given)
        refused(outcome, "body of the operation 'op'", "/children/0/children/0")

    async def test_an_item_of_paths_can_be_a_reference(self, openapi, service) -> None:
        document = openapi_3("/x", {})
        document["components"] = {"pathItems": {"X": document["paths"]["/x"]}}
        document["paths"] = {"/y": {"$ref": "#/components/pathItems/X"}, "/z": {"$ref": "#/nowhere"}}
        service.answer("/y", "1")
        assert isinstance(await openapi(document, "op"), Completed)


class TestOutput:
    DOCUMENT = openapi_3("/x", {})

    async def test_raw(self, openapi, service) -> None:
        service.answer("/x", "data")
        outcome = await openapi(self.DOCUMENT, "op", output="raw")
        assert outcome == Completed(base64.b64encode(b"data").decode())

    async def test_response(self, openapi, service) -> None:
        service.answer("/x", '{"id": 1}', **JSON)
        output = (await openapi(self.DOCUMENT, "op", output="response")).output
        assert output["request"]["method"] == "GET"
        assert output["request"]["uri"] == f"{service.url}/x"
        assert output["request"]["headers"]["Accept"].startswith("application/json")
        assert output["statusCode"] == 200
        assert output["content"] == {"id": 1}

    @pytest.mark.parametrize("redirect", [False, True])
    async def test_redirect(self, openapi, service, redirect) -> None:
        service.answer("/x", status=302, Location="/y")
        service.answer("/y", "there", Content_Type="text/plain")
        outcome = await openapi(self.DOCUMENT, "op", redirect=redirect)
        if redirect:
            assert outcome == Completed("there")
        else:
            assert error_of(outcome)[:2] == ("communication", 302)

    async def test_a_response_without_success(self, openapi, service) -> None:
        service.answer("/x", '{"detail": "gone away"}', 404, Content_Type="application/problem+json")
        outcome = await openapi(self.DOCUMENT, "op")
        assert error_of(outcome) == ("communication", 404, f"GET {service.url}/x answered 404: gone away")
        assert outcome.error.title == "Not Found"

    async def test_a_response_that_is_not_json(self, openapi, service) -> None:
        service.answer("/x", "{", **JSON)
        assert error_of(await openapi(self.DOCUMENT, "op"))[:2] == ("communication", 500)


class TestParameters:
    async def test_a_missing_parameter_is_named(self, openapi) -> None:
        parameters = [parameter("id", "path"), parameter("q", "query", required=True)]
        document = openapi_3("/{id}", {"parameters": parameters})
        refused(await openapi(document, "op"), "the parameter 'id' of the operation 'op' is missing")
        refused(await openapi(document, "op", parameters={"id": 1}), "'q'", "missing")
        refused(await openapi(document, "op", parameters={"id": 1, "q": None}), "'q'", "missing")

    async def test_an_unknown_parameter_is_named(self, openapi) -> None:
        document = openapi_3("/x", {"parameters": [parameter("status", "query")]})
        outcome = await openapi(document, "op", parameters={"statsu": "x"})
        refused(outcome, "no parameter 'statsu', did you mean 'status'?")

    async def test_a_value_must_match_its_schema(self, openapi, service) -> None:
        schema = {"type": "array", "items": {"type": "string", "enum": ["sold", "free"]}, "maxItems": 2}
        document = openapi_3("/x", {"parameters": [parameter("status", "query", schema)]})
        outcome = await openapi(document, "op", parameters={"status": ["sold", "SECRET"]})
        refused(outcome, "the parameter 'status' of the operation 'op' is not valid: at /1", "sold")
        assert "SECRET" not in outcome.error.detail
        refused(await openapi(document, "op", parameters={"status": ["sold"] * 3}), "'status'")
        assert service.requests == []

    @pytest.mark.parametrize(
        ("schema", "value", "sent"),
        [
            ({"type": "integer"}, "7", "7"),
            ({"type": "integer"}, 7, "7"),
            ({"type": "number"}, "0.5", "0.5"),
            ({"type": "number"}, 1e3, "1000.0"),
            ({"type": "boolean"}, "true", "true"),
            ({"type": "boolean"}, False, "false"),
            ({"type": "string"}, 7, "7"),
            ({"type": "string"}, True, "true"),
            ({"type": "string", "pattern": "^[0-9]+$"}, 12, "12"),
            ({"type": "array", "items": {"type": "integer"}}, "7", "7"),
            ({"type": ["string", "null"]}, 7, "7"),
            ({}, 7, "7"),
        ],
    )
    async def test_numbers_and_their_text_are_the_same(self, openapi, service, schema, value, sent) -> None:
        document = openapi_3("/x", {"parameters": [parameter("q", "query", schema)]}, version="3.1.0")
        await openapi(document, "op", parameters={"q": value})
        assert service.requests[0].raw_path == f"/x?q={sent}"

    @pytest.mark.parametrize(
        ("schema", "value"),
        [
            ({"type": "integer"}, "seven"),
            ({"type": "integer"}, True),
            ({"type": "integer"}, 1.5),
            ({"type": "boolean"}, 1),
            ({"type": "boolean"}, "yes"),
            ({"type": "string", "maxLength": 1}, 12),
            ({"type": "integer", "maximum": 5, "exclusiveMaximum": True}, 5),
            ({"type": "array", "items": {"type": "integer"}}, ["a"]),
            ({"type": "object", "required": ["a"]}, {"b": 1}),
        ],
    )
    async def test_other_types_are_refused(self, openapi, schema, value) -> None:
        document = openapi_3("/x", {"parameters": [parameter("q", "query", schema)]})
        refused(await openapi(document, "op", parameters={"q": value}), "'q'")

    async def test_defaults_are_sent_but_not_instead_of_null(self, openapi, service) -> None:
        parameters = [
            parameter("kind", "path", {"type": "string", "default": "all"}),
            parameter("limit", "query", {"$ref": "#/components/schemas/Limit"}),
        ]
        schemas = {"Limit": {"type": "integer", "default": 30}}
        document = openapi_3("/x/{kind}", {"parameters": parameters}, components={"schemas": schemas})
        await openapi(document, "op")
        await openapi(document, "op", parameters={"limit": 5, "kind": "cats"})
        await openapi(document, "op", parameters={"limit": None})
        sent = [request.raw_path for request in service.requests]
        assert sent == ["/x/all?limit=30", "/x/cats?limit=5", "/x/all"]

    async def test_defaults_of_swagger_2(self, openapi, service) -> None:
        limit = {"name": "limit", "in": "query", "type": "integer", "default": 30}
        await openapi(swagger_2("/x", {"parameters": [limit]}), "op")
        assert service.requests[0].raw_path == "/x?limit=30"

    async def test_schemas_of_3_0_have_nullable_and_read_only_properties(self, openapi, service) -> None:
        schema = {
            "type": "object",
            "required": ["id", "name"],
            "properties": {
                "id": {"type": "integer", "readOnly": True},
                "name": {"type": "string", "nullable": True},
                "kind": {"type": "string", "enum": ["a"], "nullable": True},
            },
        }
        body = {"content": {"application/json": {"schema": schema}}}
        document = openapi_3("/x", {"requestBody": body}, "post")
        await openapi(document, "op", parameters={"name": None, "kind": None})
        assert json.loads(service.bodies[0]) == {"name": None, "kind": None}
        refused(await openapi(document, "op", parameters={"name": 1}), "/name")
        refused(await openapi(document, "op", parameters={"kind": "a"}), "name")


class TestBody:
    @staticmethod
    def document(schema, media_type="application/json", required=True, **members):
        content = {media_type: {"schema": schema, **members}}
        return openapi_3("/x", {"requestBody": {"required": required, "content": content}}, "post")

    async def test_the_whole_body_is_the_parameter_body(self, openapi, service) -> None:
        document = self.document({"type": "array", "items": {"type": "integer"}})
        await openapi(document, "op", parameters={"body": [1, 2]})
        assert service.bodies == [b"[1,2]"]
        refused(await openapi(document, "op", parameters={"body": ["x"]}), "body of the operation 'op'", "/0")
        refused(await openapi(document, "op", parameters={"items": [1]}), "no parameter 'items'")
        refused(await openapi(document, "op"), "the body of the operation 'op' is missing")

    async def test_a_body_that_is_not_required_can_be_left_out(self, openapi, service) -> None:
        await openapi(self.document({"type": "object"}, required=False), "op")
        assert service.bodies == [b""]
        assert "Content-Type" not in service.requests[0].headers

    async def test_a_property_that_is_called_body(self, openapi, service) -> None:
        """As in a comment on an issue."""
        schema = {"type": "object", "required": ["body"], "properties": {"body": {"type": "string"}}}
        for given in ({"body": "text"}, {"body": "text", "title": "t"}, {"body": {"body": "text"}}):
            await openapi(self.document(schema), "op", parameters=given)
        sent = [json.loads(body) for body in service.bodies]
        assert sent == [{"body": "text"}, {"body": "text", "title": "t"}, {"body": "text"}]

    async def test_the_body_of_swagger_2(self, openapi, service) -> None:
        body = {"name": "pet", "in": "body", "required": True, "schema": {"$ref": "#/definitions/Pet"}}
        pet = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}
        document = swagger_2("/x", {"parameters": [body]}, "post", definitions={"Pet": pet})
        for given in ({"pet": {"name": "M"}}, {"body": {"name": "M"}}, {"name": "M"}):
            await openapi(document, "op", parameters=given)
        assert service.bodies == [b'{"name":"M"}'] * 3
        refused(await openapi(document, "op", parameters={"pet": {}}), "name")
        refused(await openapi(document, "op"), "body", "missing")


class TestServer:
    @pytest.mark.parametrize(
        ("servers", "path"),
        [
            (None, "/x"),
            ([], "/x"),
            ([{"url": "/v1/"}], "/v1/x"),
            ([{"url": "v2"}], "/docs/v2/x"),
            ([{"url": "../v3"}], "/v3/x"),
            (
                [{"url": "{at}/{n}", "variables": {"at": {"default": "SERVICE"}, "n": {"default": "4"}}}],
                "/4/x",
            ),
            ([{"url": "/first"}, {"url": "/second"}], "/first/x"),
        ],
    )
    async def test_the_first_server(self, openapi, service, servers, path) -> None:
        document = openapi_3("/x", {}, **({} if servers is None else {"servers": servers}))
        text = json.dumps(document).replace("SERVICE", service.url)
        await openapi(text, "op", at=f"{service.url}/docs/openapi.json")
        assert service.requests[0].raw_path == path

    async def test_servers_of_the_operation_and_of_the_path(self, openapi, service) -> None:
        document = openapi_3("/x", {}, servers=[{"url": "/document"}])
        document["paths"]["/x"]["servers"] = [{"url": "/path"}]
        await openapi(document, "op")
        document["paths"]["/x"]["get"]["servers"] = [{"url": "/operation"}]
        await openapi(document, "op")
        assert [request.raw_path for request in service.requests] == ["/path/x", "/operation/x"]

    async def test_swagger_2_without_host_and_scheme(self, openapi, service) -> None:
        await openapi(swagger_2("/x", {}), "op", at=f"{service.url}/docs/swagger.json")
        await openapi(swagger_2("/x", {}, basePath="/v2/"), "op", at=f"{service.url}/docs/swagger.json")
        assert [request.raw_path for request in service.requests] == ["/x", "/v2/x"]

    async def test_swagger_2_prefers_https(self, openapi, service) -> None:
        outcome = await openapi(swagger_2("/x", {}, schemes=["http", "https"]), "op")
        assert f"https://127.0.0.1:{service.port}" in error_of(outcome)[2]

    @pytest.mark.parametrize(
        ("members", "cause"),
        [
            ({"servers": [{"url": "{a}/x"}]}, "the variable 'a' of its server has no default value"),
            ({"servers": [{"url": "ws://host/"}]}, "no complete http or https address"),
            ({"servers": [{"url": "http://[/"}]}, "no complete http or https address"),
            ({"servers": [{}]}, "its first server has no address"),
            ({"servers": [7]}, "its first server has no address"),
        ],
    )
    async def test_unusable_servers(self, openapi, members, cause) -> None:
        unusable(await openapi(openapi_3("/x", {}, **members), "op"), cause)

    async def test_a_document_of_a_file_needs_a_complete_address(self, openapi, service) -> None:
        unusable(await openapi(openapi_3("/x", {}), "op", at="file:api.json"), "file:api.json", "complete")
        await openapi(openapi_3("/x", {}, servers=[{"url": service.url}]), "op", at="file:api.json")
        assert len(service.requests) == 1

    async def test_the_address_of_the_server_is_checked(self, openapi) -> None:
        document = openapi_3("/x", {}, servers=[{"url": "http://169.254.169.254/latest"}])
        assert error_of(await openapi(document, "op"))[:2] == ("authorization", 403)

    async def test_a_password_in_the_address_is_not_used(self, openapi, service) -> None:
        document = openapi_3("/x", {}, servers=[{"url": f"http://u:hidden@127.0.0.1:{service.port}"}])
        await openapi(document, "op")
        assert "Authorization" not in service.requests[0].headers


class TestUnusableDocument:
    @pytest.mark.parametrize(
        ("document", "cause"),
        [
            ("", "empty"),
            ("[]", "it is not a mapping"),
            ("{", "not"),
            ("a: [", "1:"),
            ('{"info": {}}', "neither 'openapi' nor 'swagger'"),
            ('{"openapi": "4.0.0"}', "it is OpenAPI 4.0.0"),
            ('{"swagger": "1.2"}', "supported are 2.0, 3.0, 3.1 and 3.2"),
            ('{"openapi": "3.0.0"}', "it has no operation 'op'"),
            ('{"openapi": "3.0.0", "paths": []}', "it has no operation 'op'"),
        ],
    )
    async def test_what_is_wrong_is_named(self, openapi, service, document, cause) -> None:
        unusable(await openapi(document, "op", at=f"{service.url}/a?key=hidden"), f"{service.url}/a:", cause)

    async def test_a_similar_id_is_suggested(self, openapi) -> None:
        document = openapi_3("/x", {"operationId": "findPetsByStatus"})
        unusable(await openapi(document, "findPetByStatus"), "did you mean 'findPetsByStatus'?")

    @pytest.mark.parametrize("operation", [None, 7, {}, ["op"]])
    async def test_an_id_is_text(self, openapi, operation) -> None:
        unusable(await openapi(openapi_3("/x", {}), operation), "operationId must be text")

    async def test_an_id_of_two_operations(self, openapi) -> None:
        document = openapi_3("/x", {})
        document["paths"]["/y"] = document["paths"]["/x"]
        unusable(await openapi(document, "op"), "several operations have the id 'op'")

    @pytest.mark.parametrize(
        ("parameters", "cause"),
        [
            ([{"$ref": "other.yaml#/p"}], "leads to another document"),
            ([{"$ref": "http://169.254.169.254/p"}], "leads to another document"),
            ([{"$ref": "#/nowhere"}], "leads nowhere"),
            ([{"$ref": "#/paths/~1x/get/parameters/0"}], "leads in a circle"),
            ([{"in": "query"}], "has no name"),
            ([{"name": "n", "in": "pocket"}], "is in 'pocket'"),
            ([{"name": "n", "in": "query", "style": "matrix"}], "has the style 'matrix'"),
            ([{"name": "n", "in": "path", "schema": {}}], "no place for the parameter 'n'"),
        ],
    )
    async def test_bad_parameters(self, openapi, parameters, cause) -> None:
        unusable(await openapi(openapi_3("/x", {"parameters": parameters}), "op"), cause)

    async def test_a_path_with_a_variable_that_is_no_parameter(self, openapi) -> None:
        unusable(await openapi(openapi_3("/x/{id}", {}), "op"), "the variable 'id'")

    @pytest.mark.parametrize(
        "schema",
        [
            {"$ref": "other.json#/S"},
            {"$ref": "#/nowhere"},
            {"$ref": "#/components/schemas/circle"},
            {"type": "sting"},
            {"pattern": "(?=x)"},
            {"pattern": "("},
        ],
    )
    async def test_a_schema_that_cannot_be_used_is_left_to_the_server(self, openapi, service, schema) -> None:
        circle = {"$ref": "#/components/schemas/circle"}
        request = {"requestBody": {"content": {"application/json": {"schema": schema}}}}
        document = openapi_3("/x", request, "post", components={"schemas": {"circle": circle}})
        await openapi(document, "op", parameters={"a": 1})
        assert service.bodies == [b'{"a":1}']
