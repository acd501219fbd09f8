"""Styles of parameters, as the server gets them (inventory J14; RFC 6570)."""

import pytest
from tests.executor.openapi_documents import openapi_3, parameter, swagger_2
from tests.executor.test_openapi import refused, unusable

ARRAY = {"type": "array", "items": {"type": "string"}}
OBJECT = {"type": "object"}
COLORS = ["blue", "black", "brown"]
COLOR = {"R": 100, "G": 200}


async def sent(openapi, service, path, written, value, *, version="3.0.3") -> str:
    document = openapi_3(path, {"parameters": [written]}, version=version)
    await openapi(document, "op", parameters={written["name"]: value})
    return service.requests[-1].raw_path


@pytest.mark.parametrize(
    ("style", "explode", "value", "expected"),
    [
        (None, None, "a/b ä", "a%2Fb%20%C3%A4"),
        (None, None, True, "true"),
        (None, None, "..", "%2E%2E"),
        ("simple", False, COLORS, "blue,black,brown"),
        ("simple", True, COLORS, "blue,black,brown"),
        ("simple", False, COLOR, "R,100,G,200"),
        ("simple", True, COLOR, "R=100,G=200"),
        ("simple", False, ["a,b", "c"], "a%2Cb,c"),
        ("label", False, "blue", ".blue"),
        ("label", False, COLORS, ".blue,black,brown"),
        ("label", True, COLORS, ".blue.black.brown"),
        ("label", False, COLOR, ".R,100,G,200"),
        ("label", True, COLOR, ".R=100.G=200"),
        ("matrix", False, "blue", ";c=blue"),
        ("matrix", False, "", ";c"),
        ("matrix", False, COLORS, ";c=blue,black,brown"),
        ("matrix", True, COLORS, ";c=blue;c=black;c=brown"),
        ("matrix", False, COLOR, ";c=R,100,G,200"),
        ("matrix", True, COLOR, ";R=100;G=200"),
    ],
)
async def test_path(openapi, service, style, explode, value, expected) -> None:
    members = {name: each for name, each in (("style", style), ("explode", explode)) if each is not None}
    assert (
        await sent(openapi, service, "/x/{c}/y", parameter("c", "path", **members), value)
        == f"/x/{expected}/y"
    )


@pytest.mark.parametrize("value", ["", []])
async def test_a_part_of_the_path_cannot_be_empty(openapi, value) -> None:
    document = openapi_3("/x/{c}", {"parameters": [parameter("c", "path")]})
    refused(await openapi(document, "op", parameters={"c": value}), "'c'", "is empty")


@pytest.mark.parametrize(
    ("members", "value", "expected"),
    [
        ({}, "a b&c=d", "c=a%20b%26c%3Dd"),
        ({}, "", "c="),
        ({}, COLORS, "c=blue&c=black&c=brown"),
        ({}, [], ""),
        ({}, COLOR, "R=100&G=200"),
        ({"explode": False}, COLORS, "c=blue,black,brown"),
        ({"explode": False}, COLOR, "c=R,100,G,200"),
        ({"explode": False}, ["a,b", "c"], "c=a%2Cb,c"),
        ({"style": "spaceDelimited"}, COLORS, "c=blue%20black%20brown"),
        ({"style": "spaceDelimited", "explode": True}, COLORS, "c=blue&c=black&c=brown"),
        ({"style": "pipeDelimited"}, COLORS, "c=blue%7Cblack%7Cbrown"),
        ({"style": "pipeDelimited"}, COLOR, "c=R%7C100%7CG%7C200"),
        ({"style": "deepObject", "explode": True}, COLOR, "c%5BR%5D=100&c%5BG%5D=200"),
        (
            {"style": "deepObject"},
            {"a": {"b": [1, True]}},
            "c%5Ba%5D%5Bb%5D%5B0%5D=1&c%5Ba%5D%5Bb%5D%5B1%5D=true",
        ),
        ({"allowReserved": True}, "/a?b=c;d", "c=/a?b=c;d"),
        ({"allowReserved": True}, "a&b#c+d", "c=a%26b%23c%2Bd"),
        ({}, [1, None, "x"], "c=1&c=&c=x"),
    ],
)
async def test_query(openapi, service, members, value, expected) -> None:
    path = await sent(openapi, service, "/x", parameter("c", "query", **members), value)
    assert path == (f"/x?{expected}" if expected else "/x")


async def test_a_query_in_json(openapi, service) -> None:
    written = {"name": "filter", "in": "query", "content": {"application/json": {"schema": OBJECT}}}
    assert await sent(openapi, service, "/x", written, {"a": [1]}) == "/x?filter=%7B%22a%22%3A%5B1%5D%7D"


@pytest.mark.parametrize(
    ("explode", "value", "expected"),
    [
        (False, "a b", "a b"),
        (False, COLORS, "blue,black,brown"),
        (False, COLOR, "R,100,G,200"),
        (True, COLOR, "R=100,G=200"),
    ],
)
async def test_header(openapi, service, explode, value, expected) -> None:
    document = openapi_3("/x", {"parameters": [parameter("X-C", "header", explode=explode)]})
    await openapi(document, "op", parameters={"X-C": value})
    assert service.requests[0].headers["X-C"] == expected


async def test_openapi_3_ignores_some_headers(openapi) -> None:
    document = openapi_3("/x", {"parameters": [parameter("Authorization", "header")]})
    refused(await openapi(document, "op", parameters={"Authorization": "x"}), "no parameter 'Authorization'")


@pytest.mark.parametrize("value", ["a\r\nX-Other: b", "a\0"])
async def test_a_header_has_no_line_breaks(openapi, service, value) -> None:
    document = openapi_3("/x", {"parameters": [parameter("X-C", "header")]})
    unusable(await openapi(document, "op", parameters={"X-C": value}), "X-C")
    assert service.requests == []


async def test_cookies(openapi, service) -> None:
    parameters = [parameter("a", "cookie"), parameter("b", "cookie", explode=False), parameter("c", "cookie")]
    document = openapi_3("/x", {"parameters": parameters})
    await openapi(document, "op", parameters={"a": "1; x=2", "b": ["x", "y"], "c": [1, 2]})
    assert service.requests[0].headers["Cookie"] == "a=1%3B%20x%3D2; b=x,y; c=1; c=2"


@pytest.mark.parametrize("place", ["path", "query", "header", "cookie"])
async def test_a_list_in_a_list_cannot_be_written(openapi, place) -> None:
    document = openapi_3("/x/{c}" if place == "path" else "/x", {"parameters": [parameter("c", place)]})
    refused(await openapi(document, "op", parameters={"c": [[1]]}), "'c'", "a list inside of another")


@pytest.mark.parametrize(
    ("collection", "query", "path"),
    [
        (None, "c=a,b%20c", "a,b%20c"),
        ("csv", "c=a,b%20c", "a,b%20c"),
        ("ssv", "c=a%20b%20c", "a%20b%20c"),
        ("tsv", "c=a%09b%20c", "a%09b%20c"),
        ("pipes", "c=a%7Cb%20c", "a%7Cb%20c"),
        ("multi", "c=a&c=b%20c", "a,b%20c"),
    ],
)
async def test_collection_formats_of_swagger_2(openapi, service, collection, query, path) -> None:
    members = {} if collection is None else {"collectionFormat": collection}
    parameters = [
        {"name": "c", "in": place, "required": True, **ARRAY, **members}
        for place in ("query", "path", "header")
    ]
    await openapi(swagger_2("/x/{c}", {"parameters": parameters}), "op", parameters={"c": ["a", "b c"]})
    assert service.requests[0].raw_path == f"/x/{path}?{query}"
    delimiter = {"ssv": " ", "tsv": "\t", "pipes": "|"}.get(collection, ",")
    assert service.requests[0].headers["c"] == f"a{delimiter}b c"
