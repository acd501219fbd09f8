"""External resources: fetched over HTTP or from a directory, within limits (inventory K7, L1, R3, R4)."""

import asyncio
import base64

import pytest
from aiohttp import web
from tests.task_contexts import task_context

from unspool.eventstore.records import TaskRequest
from unspool.executor.handlers import default_handlers
from unspool.executor.outcome import Completed, Faulted, FetchedText
from unspool.executor.secrets import LocalSecrets
from unspool.executor.settings import ExecutorSettings


async def fetch(uri, settings=None, secrets=None, **arguments):
    provider = LocalSecrets(secrets or {}, "")
    endpoint = {"uri": uri, **arguments.pop("endpoint", {})}
    request = TaskRequest("e", "resource-3", "/do/0/a", "resource", {"endpoint": endpoint, **arguments})
    async with default_handlers(settings or ExecutorSettings(), secrets=provider) as handlers:
        return await handlers["resource"](request, task_context())


def error_of(outcome):
    assert isinstance(outcome, Faulted), outcome
    return outcome.error.to_json()


async def test_a_text_is_fetched_with_its_media_type(service):
    service.answer("/f.yaml", "set: ä", Content_Type="application/yaml; charset=utf-8")
    outcome = await fetch(f"{service.url}/f.yaml")
    assert outcome == FetchedText("set: ä", "application/yaml")
    assert outcome.stored("abc") == Completed({"sha256": "abc", "mediaType": "application/yaml"})
    assert "yaml" in service.requests[0].headers["Accept"]


async def test_the_encoding_is_that_of_the_content_type(service):
    service.answer("/f", "set: ä".encode("latin-1"), Content_Type="text/plain; charset=latin-1")
    assert (await fetch(f"{service.url}/f")).text == "set: ä"


@pytest.mark.parametrize("status", [304, 401, 404, 500])
async def test_a_response_without_success_is_a_communication_error_with_its_status(service, status):
    service.answer("/f", status=status)
    error = error_of(await fetch(f"{service.url}/f?key=hidden"))
    assert error["type"].endswith("/communication")
    assert error["status"] == status
    assert "hidden" not in error["detail"]


async def test_a_text_has_a_largest_size(service):
    service.answer("/f", "x" * 1001)
    error = error_of(await fetch(f"{service.url}/f", ExecutorSettings(resource_max_bytes=1000)))
    assert (error["title"], error["status"]) == ("Response too large", 500)
    assert isinstance(await fetch(f"{service.url}/f", ExecutorSettings(resource_max_bytes=1001)), FetchedText)


async def test_a_document_has_a_limit_of_its_own(service, directory):
    (directory / "large.json").write_text("x" * 1001)
    service.answer("/f", "x" * 1001)
    limits = {"resource_max_bytes": 1000, "document_max_bytes": 1001}
    settings = ExecutorSettings(**limits, resources_dir=str(directory))
    for uri in (f"{service.url}/f", "file:large.json"):
        assert isinstance(await fetch(uri, settings, kind="document"), FetchedText)
        assert error_of(await fetch(uri, settings))["title"] == "Response too large"
    service.answer("/f", "x" * 1002)
    assert error_of(await fetch(f"{service.url}/f", settings, kind="document"))["status"] == 500


async def test_a_document_of_50_mb_is_not_read_to_its_end(service):
    sent = 0

    async def endless(request):
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while sent < 50_000_000:
            await response.write(b"x" * 1_000_000)
            sent += 1_000_000
        return response

    service.answers["/f"] = endless
    error = error_of(await fetch(f"{service.url}/f", kind="document"))
    assert error["title"] == "Response too large"
    assert sent < 50_000_000


async def test_a_fetch_has_a_longest_time(service):
    async def never(_):
        await asyncio.sleep(60)

    service.answers["/f"] = never
    error = error_of(await fetch(f"{service.url}/f", ExecutorSettings(resource_timeout_seconds=0.1)))
    assert error["type"].endswith("/communication")
    assert "0.1 s" in error["detail"]


async def test_redirects_are_followed_without_the_credentials(service):
    service.answer("/a", status=302, Location=f"{service.elsewhere}/b")
    service.answer("/b", "set: 1")
    policy = {"authentication": {"bearer": {"token": "secret-token"}}}
    assert (await fetch(f"{service.url}/a", endpoint=policy)).text == "set: 1"
    sent = [request.headers.get("Authorization") for request in service.requests]
    assert sent == ["Bearer secret-token", None]


async def test_a_redirect_to_a_refused_address_is_not_followed(service):
    service.answer("/a", status=302, Location="http://169.254.169.254/latest/meta-data")
    error = error_of(await fetch(f"{service.url}/a"))
    assert error["type"].endswith("/authorization")


@pytest.mark.parametrize("uri", ["http://127.0.0.1:1/f", "http://[::1]:1/f", "http://169.254.169.254/f"])
async def test_private_addresses_can_be_refused(uri):
    error = error_of(await fetch(uri, ExecutorSettings(egress="public")))
    assert error["type"].endswith("/authorization")


@pytest.mark.parametrize(
    "uri", ["ftp://example.com/f", "gopher:x", "data:text/plain,x", "http:///f", "http://a b/"]
)
async def test_other_addresses_cannot_be_used(uri):
    error = error_of(await fetch(uri))
    assert error["type"].endswith("/communication")


async def test_a_secret_of_the_authentication_is_evaluated_and_masked(service):
    # K7, R4
    async def echo(request):
        return web.Response(text=f"set: {request.headers['Authorization'].split()[1]}")

    service.answers["/f"] = echo
    text = {
        "at": "/endpoint/authentication/basic/password",
        "text": "${ $secrets.password }",
        "syntax": "value",
        "needs": ["password"],
        "variables": {},
    }
    outcome = await fetch(
        f"{service.url}/f",
        secrets={"UNSPOOL_SECRET_PASSWORD": "open sesame"},
        endpoint={"authentication": {"basic": {"username": "ada", "password": None}}},
        **{"$secrets": {"declared": ["password"], "texts": [text]}},
    )
    sent = service.requests[0].headers["Authorization"].split()[1]
    assert base64.b64decode(sent).decode() == "ada:open sesame"
    assert "***" in outcome.text
    assert sent not in outcome.text


async def test_a_token_of_the_authentication_is_masked(service):
    # K7; also for a task that shares the request of another one, and knows no token
    async def echo(request):
        return web.Response(text=f"set: {request.headers['Authorization']}")

    service.answer("/oauth2/token", '{"access_token": "t0ken-of-the-provider", "expires_in": 600}')
    service.answers["/f"] = echo
    policy = {"oauth2": {"authority": service.url, "grant": "client_credentials", "client": {"id": "x"}}}
    endpoint = {"uri": f"{service.url}/f", "authentication": policy}
    request = TaskRequest("e", "resource-3", "/do/0/a", "resource", {"endpoint": endpoint})
    async with default_handlers(ExecutorSettings()) as handlers:
        fetched = [handlers["resource"](request, task_context()) for _ in range(3)]
        texts = {outcome.text for outcome in await asyncio.gather(*fetched)}
    assert texts == {"set: Bearer ***"}
    assert [each.path for each in service.requests] == ["/oauth2/token", "/f"]


# -- directories


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    root = tmp_path / "resources"
    (root / "functions/log/1.0.0").mkdir(parents=True)
    (root / "functions/log/1.0.0/function.yaml").write_text("set: 1")
    (root / "a b.yaml").write_text("set: 2")
    (root / "out").symlink_to(tmp_path / "secret.txt")
    (root / "loop").symlink_to("loop")
    return root


@pytest.mark.parametrize(
    ("uri", "text"),
    [("file:functions/log/1.0.0/function.yaml", "set: 1"), ("file:a%20b.yaml", "set: 2")],
)
async def test_a_file_is_read_from_the_directory_of_resources(directory, uri, text):
    # L1
    settings = ExecutorSettings(resources_dir=str(directory))
    assert await fetch(uri, settings) == FetchedText(text)


async def test_the_default_catalog_can_be_a_directory(directory):
    # R3
    settings = ExecutorSettings(catalog=str(directory))
    assert (await fetch("catalog:functions/log/1.0.0/function.yaml", settings)).text == "set: 1"


async def test_the_default_catalog_can_be_an_address(service):
    # R3
    service.answer("/shop/functions/log/1.0.0/function.yaml", "set: 3")
    settings = ExecutorSettings(catalog=f"{service.url}/shop")
    assert (await fetch("catalog:functions/log/1.0.0/function.yaml", settings)).text == "set: 3"


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt",
        "%2e%2e/secret.txt",
        "/../secret.txt",
        "out",
        "loop",
        "loop/a",
        "functions",
        "none",
        "x%00y",
        "a" * 5000,
    ],
)
@pytest.mark.parametrize("scheme", ["file", "catalog"])
async def test_nothing_outside_of_the_directory_is_read(directory, scheme, path):
    settings = ExecutorSettings(resources_dir=str(directory), catalog=str(directory))
    error = error_of(await fetch(f"{scheme}:{path}", settings))
    assert error["type"].endswith("/communication")
    assert error["status"] == 404


async def test_a_file_has_a_largest_size(directory):
    settings = ExecutorSettings(resources_dir=str(directory), resource_max_bytes=5)
    error = error_of(await fetch("file:a%20b.yaml", settings))
    assert error["title"] == "Response too large"


@pytest.mark.parametrize(
    ("uri", "setting"), [("file:a", "UNSPOOL_RESOURCES_DIR"), ("catalog:a", "UNSPOOL_CATALOG")]
)
async def test_without_a_directory_the_error_names_the_setting(uri, setting):
    error = error_of(await fetch(uri))
    assert error["type"].endswith("/configuration")
    assert setting in error["detail"]


async def test_a_bad_address_of_the_default_catalog_is_an_error_that_names_the_setting():
    error = error_of(await fetch("catalog:a", ExecutorSettings(catalog="https://[x/shop")))
    assert error["type"].endswith("/configuration")
    assert "UNSPOOL_CATALOG" in error["detail"]
