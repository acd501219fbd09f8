"""Security schemes: where credentials go, and that they stay secret (inventory J13, K)."""

import base64

import pytest
from tests.executor.openapi_documents import openapi_3, parameter, swagger_2

from unspool.executor.outcome import Completed, Faulted

SECRET = "s3cr3t/& key"
ENCODED = "s3cr3t%2F%26%20key"
BEARER = {"bearer": {"token": "t0ken"}}


def secured(*schemes, version="3.0.3", **operation):
    """A document whose operation needs all the schemes."""
    named = {f"s{number}": scheme for number, scheme in enumerate(schemes)}
    return openapi_3(
        "/x",
        {"security": [dict.fromkeys(named, ())], **operation},
        version=version,
        components={"securitySchemes": named},
    )


def api_key(place, name="key"):
    return {"type": "apiKey", "in": place, "name": name}


@pytest.mark.parametrize(
    "scheme",
    [
        {"type": "http", "scheme": "bearer"},
        {"type": "oauth2", "flows": {}},
        {"type": "openIdConnect", "openIdConnectUrl": "https://example.com"},
    ],
)
async def test_a_policy_is_sent_as_authorization(openapi, service, scheme) -> None:
    await openapi(secured(scheme), "op", authentication=BEARER)
    assert service.requests[0].headers["Authorization"] == "Bearer t0ken"


async def test_basic(openapi, service) -> None:
    policy = {"basic": {"username": "ada", "password": "open"}}
    document = swagger_2("/x", {}, security=[{"b": []}], securityDefinitions={"b": {"type": "basic"}})
    for each in (secured({"type": "http", "scheme": "basic"}), document, openapi_3("/x", {})):
        await openapi(each, "op", authentication=policy)
    sent = [request.headers["Authorization"] for request in service.requests]
    assert sent == ["Basic " + base64.b64encode(b"ada:open").decode()] * 3


@pytest.mark.parametrize("version", ["2.0", "3.0.3", "3.1.0"])
@pytest.mark.parametrize("place", ["header", "query", "cookie"])
async def test_a_bearer_token_is_sent_as_the_key(openapi, service, version, place) -> None:
    scheme = api_key(place)
    document = secured(scheme, version=version)
    if version == "2.0":
        if place == "cookie":
            pytest.skip("Swagger 2.0 has no cookies")
        document = swagger_2("/x", {}, security=[{"k": []}], securityDefinitions={"k": scheme})
    for token in ({"token": SECRET}, SECRET):
        await openapi(document, "op", authentication={"bearer": token})
        request = service.requests[-1]
        assert "Authorization" not in request.headers
        sent = {
            "header": request.headers.get("key"),
            "query": request.raw_path.partition("?")[2],
            "cookie": request.headers.get("Cookie"),
        }
        expected = {"header": SECRET, "query": f"key={ENCODED}", "cookie": f"key={ENCODED}"}
        assert sent[place] == expected[place]


async def test_a_key_can_be_a_parameter(openapi, service) -> None:
    document = secured(
        api_key("header", "X-One"), api_key("query", "two"), {"type": "http", "scheme": "bearer"}
    )
    await openapi(document, "op", parameters={"X-One": 1, "two": "2"}, authentication=BEARER)
    request = service.requests[0]
    assert (request.headers["X-One"], request.raw_path) == ("1", "/x?two=2")
    assert request.headers["Authorization"] == "Bearer t0ken"


async def test_a_parameter_of_the_operation_has_priority_over_a_key(openapi, service) -> None:
    document = secured(api_key("header"), parameters=[parameter("key", "query")])
    await openapi(document, "op", parameters={"key": "v"})
    assert service.requests[0].raw_path == "/x?key=v"
    assert "key" not in service.requests[0].headers


async def test_security_of_the_document_and_of_the_operation(openapi, service) -> None:
    document = secured(api_key("header"))
    operation = document["paths"]["/x"]["get"]
    document["security"] = operation.pop("security")
    await openapi(document, "op", authentication=BEARER)
    operation["security"] = []  # it needs no credentials
    await openapi(document, "op", authentication=BEARER)
    assert [request.headers.get("key") for request in service.requests] == ["t0ken", None]
    assert service.requests[1].headers["Authorization"] == "Bearer t0ken"


async def test_without_credentials_the_request_is_sent_without(openapi, service) -> None:
    service.answer("/x", "public", Content_Type="text/plain")
    assert await openapi(secured(api_key("header")), "op") == Completed("public")


@pytest.mark.parametrize(
    "security", [[{"unknown": []}], [{"s0": []}, {"other": []}], "all", [7], [{"s0": 7}]]
)
async def test_schemes_that_do_not_exist_are_left_out(openapi, service, security) -> None:
    document = secured(api_key("header"))
    document["paths"]["/x"]["get"]["security"] = security
    assert isinstance(await openapi(document, "op", authentication=BEARER), Faulted)  # 404
    assert len(service.requests) == 1


@pytest.mark.parametrize("status", [401, 403])
async def test_wrong_credentials(openapi, service, status) -> None:
    service.answer("/x", status=status)
    outcome = await openapi(secured({"type": "http", "scheme": "bearer"}), "op", authentication=BEARER)
    assert (outcome.error.type.rpartition("/")[2], outcome.error.status) == ("communication", status)
    assert "t0ken" not in str(outcome.error)


async def test_digest(openapi, service) -> None:
    policy = {"digest": {"username": "ada", "password": "open sesame"}}
    service.answer("/x", status=401, WWW_Authenticate='Digest realm="r", nonce="n", qop="auth"')
    await openapi(secured({"type": "http", "scheme": "digest"}), "op", authentication=policy)
    assert service.requests[1].headers["Authorization"].startswith("Digest ")


@pytest.mark.parametrize("place", ["header", "query", "cookie"])
async def test_keys_are_not_in_outputs(openapi, service, place) -> None:
    service.answer("/x", "{}", Content_Type="application/json")
    document = secured(api_key(place, "custom"), parameters=[parameter("q", "query")])
    outcome = await openapi(
        document, "op", output="response", parameters={"q": "a"}, authentication={"bearer": SECRET}
    )
    request = outcome.output["request"]
    assert SECRET not in str(outcome)
    assert ENCODED not in str(outcome)
    assert request["uri"] == f"{service.url}/x?q=a" + ("&custom=***" if place == "query" else "")
    assert service.requests[0].query["q"] == "a"


@pytest.mark.parametrize("place", ["header", "query", "cookie"])
async def test_keys_are_not_in_errors(openapi, service, place) -> None:
    problem = f'{{"detail": "the key {SECRET} is wrong"}}'
    service.answer("/x", problem, 403, Content_Type="application/problem+json")
    outcome = await openapi(secured(api_key(place)), "op", authentication={"bearer": SECRET})
    assert "the key *** is wrong" in outcome.error.detail


async def test_a_key_does_not_go_to_another_host(openapi, service) -> None:
    service.answer("/x", status=302, Location=f"{service.elsewhere}/y")
    service.answer("/y", "there", Content_Type="text/plain")
    document = secured(api_key("header", "custom"), parameters=[parameter("c", "cookie")])
    outcome = await openapi(
        document, "op", redirect=True, authentication={"bearer": SECRET}, parameters={"c": "1"}
    )
    assert outcome == Completed("there")
    assert "custom" in service.requests[0].headers
    assert not {"custom", "Cookie"} & {*service.requests[1].headers}


async def test_a_key_with_line_breaks_is_refused(openapi, service) -> None:
    outcome = await openapi(secured(api_key("header")), "op", authentication={"bearer": "a\r\nX: b"})
    assert outcome.error.type.endswith("/configuration")
    assert service.requests == []
