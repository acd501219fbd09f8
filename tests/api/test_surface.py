"""Routes, headers, health, metrics, the OpenAPI description and stopping."""

import asyncio
import re
import time
from dataclasses import replace

import pytest
from tests.api.keys import ON
from tests.monitoring.metrics import Exposition

from unspool.api.access import ACCESS
from unspool.api.server import listen
from unspool.api.settings import ApiSettings
from unspool.dashboard import routes as dashboard_routes
from unspool.eventstore.settings import BadSetting


async def test_unknown_addresses_are_not_found(api):
    for path in (
        "//api",
        "//api/v1",
        "/nothing",
        "/workflows/",
        "/executions/x/y",
        "//api/v2/workflows",
    ):
        await api.get(path, 404)


async def test_an_unsupported_method_is_rejected(api):
    for method, path, allowed in [
        ("PUT", "/workflows", {"GET", "HEAD", "POST"}),
        ("DELETE", "/executions/x", {"GET", "HEAD"}),
        ("GET", "/executions/x/cancel", {"POST"}),
        ("POST", "/dlq/x", {"GET", "HEAD", "DELETE"}),
        ("POST", "//health/live", {"GET", "HEAD"}),
        ("OPTIONS", "/workflows", {"GET", "HEAD", "POST"}),
    ]:
        response, _ = await api.call(method, path, 405)
        assert set(re.split(r",\s*", response.headers["Allow"])) == allowed


async def test_answers_carry_security_headers(api):
    for path in ["/workflows", "/nothing", "//health/live", "//api/docs", "//metrics"]:
        response, _ = await api.call("GET", path)
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
        assert "Server" not in response.headers
        assert "Access-Control-Allow-Origin" not in response.headers


async def test_pages_of_other_sites_cannot_change_data(api, greet):
    headers = {"Origin": "https://evil.example"}
    await api.deploy(greet, expect=403, headers=headers)
    await api.post("/executions/x/cancel", 403, headers={"Origin": "null"})
    await api.deploy(greet, headers={"Origin": api.url})
    await api.get("/workflows", headers=headers)


@pytest.mark.parametrize("origin", ["http://[", "http://]:1", "::"])
async def test_an_invalid_origin_counts_as_another_site(api, origin):
    await api.post("/executions/x/cancel", 403, headers={"Origin": origin})


async def test_on_loopback_other_host_names_are_rejected(api):
    """DNS rebinding: a name of another site that resolves to this machine would give its pages access."""
    port = api.url.rpartition(":")[2]
    for host in [f"evil.example:{port}", "evil.example", "127.0.0.1.evil.example", "[::2]:1"]:
        for method, path in [("GET", "/workflows"), ("POST", "/executions/x/cancel")]:
            headers = {"Host": host, "Origin": f"http://{host}"}
            _, problem = await api.call(method, path, 421, headers=headers)
            assert "UNSPOOL_API_NAMES" in problem["detail"]
    for host in [f"localhost:{port}", "127.0.0.1", f"[::1]:{port}", "LOCALHOST"]:
        await api.get("/workflows", headers={"Host": host})


@pytest.mark.parametrize(
    ("values", "hosts"),
    [
        ({"host": "0.0.0.0"}, None),
        ({"names": "api.example, API2.example"}, {"api.example", "api2.example"}),
        ({"host": "0.0.0.0", "names": "api.example"}, {"api.example"}),
        ({"names": "my_api, ::1,"}, {"my_api", "::1"}),
    ],
)
def test_names_can_be_set(values, hosts):
    assert ApiSettings(**values).hosts == hosts


@pytest.mark.parametrize("name", ["http://foo/x", "api.example:8080", "[::1]", "*", "a b", "\xfcber.example"])
def test_a_name_that_no_request_can_have_is_refused(name):
    with pytest.raises(BadSetting, match="UNSPOOL_API_NAMES must list host names"):
        ApiSettings(names=f"api.example, {name}")


def test_origins_are_compared_as_browsers_send_them():
    assert ApiSettings(cors_origins="https://App.example").origins == {"https://app.example"}


async def test_health_checks_answer(api):
    assert await api.get("//health/live") == {"status": "live"}
    assert await api.get("//health/ready") == {"status": "ready"}


async def test_an_unavailable_store_is_reported(api, greet, caplog):
    await api.deploy(greet)
    await api.store.close()
    for method, path in (("GET", "//health/ready"), ("GET", "/executions"), ("GET", "/executions/x")):
        response, problem = await api.call(method, path, 503)
        assert int(response.headers["Retry-After"]) > 0
        assert "store" in problem["detail"]
    await api.deploy(greet, expect=503)
    await api.start(expect=503)
    assert any(getattr(record, "action", None) == "store_unavailable" for record in caplog.records)
    assert await api.get("//health/live") == {"status": "live"}


async def test_metrics_count_requests_by_route(api):
    for name in ("one", "two"):
        await api.get(f"/executions/{name}", 404)
    await api.get("/no/such/thing", 404)
    response, text = await api.call("GET", "//metrics", 200)
    assert response.content_type == "text/plain"
    route = "/api/v1/executions/{id}"
    assert f'unspool_api_requests_total{{method="GET",route="{route}",status="404"}} 2.0' in text
    assert 'unspool_api_requests_total{method="GET",route="none",status="404"} 1.0' in text
    assert "unspool_api_requests_in_progress 1.0" in text
    assert Exposition(text).names


async def test_the_description_lists_every_route_and_nothing_else(api):
    document = await api.get("//api/openapi.json")
    described = {
        path: {method.upper() for method in item if method != "parameters"}
        for path, item in document["paths"].items()
    }
    files = {route.path for route in dashboard_routes()}
    served = {route.path: route.methods - {"HEAD"} for route in api.app.routes if route.path not in files}
    assert described == served
    operations = list(_operations(document).values())
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    references = set(re.findall(r"'\$ref': '#/([^']+)'", str(document)))
    for reference in references:
        node = document
        for step in reference.split("/"):
            node = node[step]
    for kind, named in document["components"].items():
        unused = {f"components/{kind}/{name}" for name in named} - references
        assert kind == "securitySchemes" or not unused


async def test_the_description_says_what_each_route_requires(api, store, running_api):
    optional = await api.get("//api/openapi.json")
    async with running_api(store, authentication=ON) as locked:
        required = await locked.get("//api/openapi.json")
    for (method, path), operation in _operations(required).items():
        access = ACCESS[path][method]
        scopes = [] if access.scope is None else [access.scope.value]
        expected = [] if access.public else [{"bearer": scopes}, {"session": scopes}]
        assert operation["security"] == expected
        assert access.public or operation["responses"].keys() >= {"401", "403", "429"}
        without = _operations(optional)[method, path]["security"]
        assert without == (expected and [*expected, {}])


async def test_the_description_names_the_cookie_that_browsers_have(api, store, running_api):
    async with running_api(store, authentication=replace(ON, https=True)) as secure:
        for each, name in ((api, "unspool_session"), (secure, "__Host-unspool_session")):
            document = await each.get("//api/openapi.json")
            assert document["components"]["securitySchemes"]["session"]["name"] == name


async def test_every_problem_in_the_description_is_a_problem(api):
    document = await api.get("//api/openapi.json")
    for operation in _operations(document).values():
        for status, response in operation["responses"].items():
            named = response.get("$ref", "").rpartition("/")[2]
            described = document["components"]["responses"][named] if named else response
            is_problem = described.get("content", {}).keys() == {"application/problem+json"}
            assert is_problem == (status >= "400")


def _operations(document):
    """Returns the operations by method and path."""
    return {
        (method.upper(), path): operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    }


async def test_the_wait_of_operations_is_described(api):
    document = await api.get("//api/openapi.json")
    paths, shared = document["paths"], document["components"]["parameters"]
    for operation in ("cancel", "suspend", "resume", "retry"):
        described = paths[f"/api/v1/executions/{{id}}/{operation}"]["post"]
        wait, reason = (shared[each["$ref"].rpartition("/")[2]] for each in described["parameters"])
        assert (wait["name"], wait["in"], wait["schema"]["maximum"]) == ("wait", "query", 3600)
        assert (reason["name"], reason["in"], reason["schema"]["maxLength"]) == ("reason", "query", 500)
        assert described["responses"].keys() >= {"200", "202", "409"}


async def test_path_parameters_are_described(api):
    document = await api.get("//api/openapi.json")
    shared = document["components"]["parameters"]
    for path, item in document["paths"].items():
        declared = [
            shared[p["$ref"].rpartition("/")[2]] if "$ref" in p else p for p in item.get("parameters", [])
        ]
        in_path = {parameter["name"] for parameter in declared if parameter["in"] == "path"}
        assert in_path == set(re.findall(r"\{(\w+)\}", path))


@pytest.mark.parametrize("parameter", ["limit", "wait"])
async def test_a_number_cannot_be_empty(api, greet, parameter):
    await api.deploy(greet)
    method, path = {
        "limit": ("GET", "/executions?limit="),
        "wait": ("POST", "/workflows/shop/greet/executions?wait="),
    }[parameter]
    _, problem = await api.call(method, path, 422)
    assert parameter in problem["detail"]


async def test_the_page_loads_only_files_of_the_api(api):
    response, page = await api.call("GET", "//api/docs", 200)
    assert response.content_type == "text/html"
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(loaded) == 5
    for path in loaded:
        assert await api.get(f"/{path}")
    assert not re.search(r"https?://|@import|url\(|<script>|<style", page)


async def test_answers_do_not_wait_for_acknowledgements(api):
    async def seconds() -> float:
        began = time.perf_counter()
        await api.get("/executions/nothing", 404)
        return time.perf_counter() - began

    async with asyncio.timeout(60):
        while await seconds() > 0.03:  # an acknowledgement is delayed by 40 ms
            pass


async def test_a_port_can_be_used_once(api, settings):
    port = int(api.url.rpartition(":")[2])
    taken = type(settings)(port=port)
    with pytest.raises(OSError, match="in use"):
        listen(taken)


async def test_an_idle_api_stops_at_once(api):
    await api.get("//health/live")
    api.stop.set()
    await asyncio.wait_for(api.serving, 20)
    with pytest.raises(OSError, match=r"refused|Cannot connect"):
        await api.get("//health/live")
