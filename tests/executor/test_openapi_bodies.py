"""Bodies of operations: JSON, forms, text and bytes (inventory J13)."""

import base64
from email import message_from_bytes
from email.policy import HTTP
from urllib.parse import parse_qsl

import pytest
from tests.executor.openapi_documents import openapi_3, swagger_2
from tests.executor.test_openapi import refused

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
BYTES = bytes(range(256))


def with_body(schema, *media_types, **members):
    content = {media_type: {"schema": schema, **members} for media_type in media_types}
    return openapi_3("/x", {"requestBody": {"content": content}}, "post")


def parts_of(service):
    """The parts of the last body: name, file name, type, content."""
    head = f"Content-Type: {service.requests[-1].headers['Content-Type']}\r\n\r\n".encode()
    message = message_from_bytes(head + service.bodies[-1], policy=HTTP)
    return [
        (
            part.get_param("name", header="Content-Disposition"),
            part.get_filename(),
            part.get_content_type(),
            part.get_payload(decode=True),
        )
        for part in message.iter_parts()
    ]


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (["application/xml", "application/json"], "application/json"),
        ([FORM, "application/vnd.api+json"], "application/vnd.api+json"),
        (["application/json; charset=utf-8"], "application/json; charset=utf-8"),
        (["*/*"], "application/json"),
        ([MULTIPART, FORM], FORM),
        (["text/csv", FORM], FORM),
    ],
)
async def test_the_media_type(openapi, service, offered, chosen) -> None:
    await openapi(with_body({}, *offered), "op", parameters={"a": "1"})
    assert service.requests[0].headers["Content-Type"] == chosen
    assert service.bodies[0] == (b"a=1" if chosen == FORM else b'{"a":"1"}')


async def test_a_form(openapi, service) -> None:
    given = {
        "text": "a b&c",
        "n": 1,
        "yes": True,
        "none": None,
        "list": [1, "x"],
        "object": {"k": [1]},
        "deep": [{"a": 1}, [2]],
    }
    await openapi(with_body({"type": "object"}, FORM), "op", parameters=given)
    assert parse_qsl(service.bodies[0].decode(), keep_blank_values=True) == [
        ("text", "a b&c"),
        ("n", "1"),
        ("yes", "true"),
        ("list", "1"),
        ("list", "x"),
        ("object", '{"k":[1]}'),
        ("deep", '{"a":1}'),
        ("deep", "[2]"),
    ]


async def test_encodings_of_a_form(openapi, service) -> None:
    """As in the documents of large services."""
    schema = {"type": "object", "properties": {"card": {"type": "object"}, "tags": {"type": "array"}}}
    encoding = {"card": {"style": "deepObject", "explode": True}, "tags": {"explode": False}}
    given = {"card": {"number": "42", "address": {"city": "B"}, "codes": [1, 2]}, "tags": ["a", "b"]}
    await openapi(with_body(schema, FORM, encoding=encoding), "op", parameters=given)
    assert parse_qsl(service.bodies[0].decode()) == [
        ("card[number]", "42"),
        ("card[address][city]", "B"),
        ("card[codes][0]", "1"),
        ("card[codes][1]", "2"),
        ("tags", "a,b"),
    ]


async def test_a_form_must_be_an_object(openapi) -> None:
    refused(
        await openapi(with_body({}, FORM), "op", parameters={"body": [1]}),
        "body of the operation 'op'",
        "object",
    )


@pytest.mark.parametrize(
    "file",
    [
        {"type": "string", "format": "binary"},
        {"$ref": "#/components/schemas/File"},
    ],
)
async def test_multipart(openapi, service, file) -> None:
    schema = {
        "type": "object",
        "properties": {"file": file, "meta": {"type": "object"}, "name": {"type": "string"}},
    }
    document = with_body(schema, MULTIPART, encoding={"file": {"contentType": "image/png, image/jpeg"}})
    document["components"] = {"schemas": {"File": {"type": "string", "format": "binary"}}}
    given = {
        "file": base64.b64encode(BYTES).decode(),
        "meta": {"a": 1},
        "name": 'ä "q"\r\nX: y',
        "tags": ["x", "y"],
        'od"d\r\n': 1,
    }
    await openapi(document, "op", parameters=given)
    file_part, *others = parts_of(service)
    assert file_part == ("file", "file", "image/png", BYTES)
    assert [(name, kind, content) for name, _, kind, content in others] == [
        ("meta", "application/json", b'{"a":1}'),
        ("name", "text/plain", 'ä "q"\r\nX: y'.encode()),
        ("tags", "text/plain", b"x"),
        ("tags", "text/plain", b"y"),
        ("od%22d%0D%0A", "text/plain", b"1"),
    ]


async def test_a_file_of_swagger_2(openapi, service) -> None:
    parameters = [
        {"name": "petId", "in": "path", "required": True, "type": "integer"},
        {"name": "note", "in": "formData", "type": "string"},
        {"name": "file", "in": "formData", "type": "file", "required": True},
    ]
    document = swagger_2("/x/{petId}", {"parameters": parameters, "consumes": [MULTIPART]}, "post")
    given = {"petId": 7, "note": "n", "file": base64.b64encode(BYTES).decode()}
    await openapi(document, "op", parameters=given)
    assert [(name, file, content) for name, file, _, content in parts_of(service)] == [
        ("note", None, b"n"),
        ("file", "file", BYTES),
    ]
    refused(await openapi(document, "op", parameters={"petId": 7}), "the parameter 'file'", "missing")
    refused(await openapi(document, "op", parameters={**given, "file": "no base64!"}), "body", "base64")


async def test_a_form_of_swagger_2(openapi, service) -> None:
    parameters = [
        {"name": "name", "in": "formData", "type": "string", "maxLength": 5},
        {"name": "tags", "in": "formData", "type": "array", "items": {"type": "string"}},
        {"name": "more", "in": "formData", "type": "array", "items": {}, "collectionFormat": "multi"},
        {"name": "status", "in": "formData", "type": "string", "default": "new"},
    ]
    document = swagger_2("/x", {"parameters": parameters}, "post", consumes=[FORM])
    await openapi(document, "op", parameters={"name": "a b", "tags": ["x", "y"], "more": [1, 2]})
    assert service.requests[0].headers["Content-Type"] == FORM
    assert service.bodies[0] == b"name=a%20b&tags=x,y&more=1&more=2&status=new"
    refused(await openapi(document, "op", parameters={"name": "too long"}), "the parameter 'name'")
    refused(
        await openapi(document, "op", parameters={"naem": "x"}), "no parameter 'naem', did you mean 'name'?"
    )


@pytest.mark.parametrize(
    ("media_type", "value", "sent"),
    [
        ("text/plain", "ä\n", "ä\n".encode()),
        ("text/plain", 7, b"7"),
        ("application/xml", "<x/>", b"<x/>"),
        ("application/octet-stream", base64.b64encode(BYTES).decode(), BYTES),
        ("image/png", "AAE=", b"\0\1"),
    ],
)
async def test_text_and_bytes(openapi, service, media_type, value, sent) -> None:
    document = with_body({"type": "string"} if isinstance(value, str) else {}, media_type)
    await openapi(document, "op", parameters={"body": value})
    assert service.requests[0].headers["Content-Type"] == media_type
    assert service.bodies[0] == sent


@pytest.mark.parametrize(
    ("media_type", "value", "cause"),
    [
        ("application/xml", {"a": 1}, "must be text"),
        ("application/octet-stream", "no base64!", "base64"),
        ("image/png", 7, "base64"),
    ],
)
async def test_what_cannot_be_written(openapi, service, media_type, value, cause) -> None:
    refused(
        await openapi(with_body({}, media_type), "op", parameters={"body": value}),
        "body of the operation",
        cause,
    )
    assert service.requests == []
