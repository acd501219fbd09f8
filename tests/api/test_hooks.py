"""Webhooks over HTTP: the events for requests of services. Verification has its own tests."""

import json
import logging

import pytest
from tests.api.webhooks import HELLO, HELLO_SUM, SECRETS, counts, published, send, signature

from unspool.cli.node import Node
from unspool.eventstore.opening import open_store


@pytest.fixture
async def api(store, run_hooks):
    """The API with webhooks on an empty SQLite store."""
    async with run_hooks(store) as running:
        yield running


@pytest.fixture(params=["sqlite", "redis"])
async def any_store(request, tmp_path):
    """An empty store of each kind, and its URL."""
    url = f"sqlite:///{tmp_path}/any.db"
    if request.param == "redis":
        url = request.getfixturevalue("redis_database")
    store = await open_store(url, {})
    yield store, url
    await store.close()


@pytest.mark.parametrize(
    ("kind", "body", "members"),
    [
        ("application/json", b'{"a": [1, null]}', {"data": {"a": [1, None]}}),
        ("application/vnd.x+json; charset=utf-8", b"[1]", {"data": [1]}),
        ("application/json", b"null", {"data": None}),
        ("application/json", b"", {}),
        ("text/plain; charset=utf-8", "é\n".encode(), {"data": "é\n"}),
        ("application/xml", b"<a/>", {"data_base64": "PGEvPg=="}),
        ("application/octet-stream", b"\xff\x00", {"data_base64": "/wA="}),
        ("multipart/form-data; boundary=x", b"--x--", {"data_base64": "LS14LS0="}),
    ],
)
async def test_bodies(api, kind, body, members):
    await send(api, "open", 202, body, kind)
    [event] = await published(api)
    assert event.pop("id")
    assert event == {
        "specversion": "1.0",
        "source": "/hooks/open",
        "type": "hook.open",
        "time": "2023-11-14T22:13:20.000Z",
        "datacontenttype": kind,
        **members,
    }


async def test_the_trace_context_of_a_request(api):
    context = f"00-{'a' * 32}-{'b' * 16}-01"
    await send(api, "open", 202, b"1", traceparent=context)
    await send(api, "open", 202, b"2", traceparent="x" * 5000)
    assert [event.get("traceparent") for event in await published(api)] == [context, None]


async def test_forms(api):
    body = b"a=1&b=x%20y+z&b=&b=%C3%A9&c&__proto__=1&=empty"
    await send(api, "open", 202, body, "application/x-www-form-urlencoded; charset=utf-8")
    [event] = await published(api)
    assert event["data"] == {"a": "1", "b": ["x y z", "", "é"], "c": "", "__proto__": "1", "": "empty"}


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/json", b"{", 400),
        ("application/json", b'"\xff"', 400),
        ("application/json", b'"\\ud800"', 400),
        ("application/json", b"NaN", 400),
        ("application/json", b"9" * 30, 400),
        ("application/json", b"[" * 101 + b"]" * 101, 400),
        ("application/json", b"[" * 90_000, 400),
        ("text/plain", b"\xff", 400),
        ("application/x-www-form-urlencoded", b"a=%FF", 400),
        ("application/x-www-form-urlencoded", b"\xff=1", 400),
        ("application/x-www-form-urlencoded", b"&".join([b"a=1"] * 1001), 400),
        ("text/" + "x" * 2000, b"x", 422),
        ("text/\udcff".encode("utf-8", "surrogateescape").decode("latin-1"), b"x", 202),
        ("text/plain", b"x" * 100_001, 413),
    ],
)
async def test_bodies_that_make_no_event(api, kind, body, status):
    await send(api, "open", status, body, kind)
    assert len(await published(api)) == (status == 202)
    assert await counts(api) == {("open", "accepted" if status == 202 else "rejected"): 1}


async def test_a_compressed_body_is_refused(api):
    await send(api, "open", 415, Content_Encoding="gzip")
    await send(api, "open", 202, Content_Encoding="identity")


@pytest.mark.parametrize("note", ["x" * 1025, "x" * 5000, "a\tb"])
async def test_headers_that_cannot_be_attributes(api, note):
    response, _ = await api.call("POST", "/hooks/open", data=HELLO, headers={"X-Note": note})
    assert response.status in {400, 422}
    assert await published(api) == []


async def test_headers_are_optional_and_utf_8(api):
    await send(api, "open", 202, X_Note="é", ce_type="other", ce_id="1")
    await send(api, "open", 202)
    first, second = await published(api)
    assert (first["xnote"], first["type"], first["id"] == "1") == ("é", "hook.open", False)
    assert "xnote" not in second


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"{}", "the member .entry[0].id of the body is missing"),
        (b'{"entry": {"0": {"id": 1}}}', "the member .entry[0].id of the body is missing"),
        (b'{"entry": [{"id": ""}]}', "the member .entry[0].id of the body is missing"),
        (b'{"entry": [{"id": true}]}', "the member .entry[0].id of the body must be text or a whole number"),
        (b'{"entry": [{"id": 1.5}]}', "the member .entry[0].id of the body must be text or a whole number"),
        (b'{"entry": [{"id": "a\\nb"}]}', "the member .entry[0].id of the body has control characters"),
        (b'[{"entry": 1}]', "the member .entry[0].id of the body is missing"),
        (b'"x"', "the member .entry[0].id of the body is missing"),
    ],
)
async def test_an_id_that_is_configured_must_be_there(api, body, problem):
    answer = await send(api, "token", 422, body, "application/json", X_Key=SECRETS["TOKEN"])
    assert answer["detail"] == problem


async def test_a_type_needs_its_values(api):
    body = b'{"repository": {"full_name": "shop/site"}}'
    signed = {"X-Hub-Signature-256": "sha256=" + signature(SECRETS["GITHUB"], body)}
    answer = await send(api, "github", 422, body, "application/json", **signed)
    assert answer["detail"] == "the header x-github-event is missing"


async def test_the_configuration_names_the_tenant(api):
    for tenant, status in (("evil", 202), ("default", 202), ("../x", 400)):
        await send(api, "plain", status, X_Tenant=tenant, X_Hub_Signature_256=HELLO_SUM)
    assert await published(api, "evil") == await published(api) == []
    assert len(await published(api, "other")) == 2


async def test_only_configured_webhooks_exist(api):
    for name in ("nothing", "Github", "github%2F", "github%00", "..", "x" * 5000, "%FF"):
        await api.post(f"/hooks/{name}", 404, data=HELLO)
    await api.post("/hooks/", 404)
    await api.get("/hooks/github", 405)
    assert await counts(api) == {}


async def test_pages_of_other_sites_cannot_send(api):
    await send(api, "open", 403, Origin="https://evil.example")


async def test_an_unavailable_store_is_reported(api):
    await api.store.close()
    await send(api, "open", 503)
    await send(api, "plain", 401)
    assert await counts(api) == {("open", "unavailable"): 1, ("plain", "unauthorized"): 1}


# -- on both stores


async def test_a_redelivery_is_one_event(any_store, run_hooks):
    store, _ = any_store
    async with run_hooks(store) as api:
        for delivery, body in (("1", b"a"), ("1", b"a"), ("2", b"a"), ("1", b"b")):
            await send(api, "keyed", 202, body, X_Delivery=delivery)
        await send(api, "open", 202, X_Delivery="1")
        await send(api, "open", 202, X_Delivery="1")
        found = [(event["source"], event["data"]) for event in await published(api)]
    hello = HELLO.decode()
    assert found[:2] == [("/hooks/keyed", "a"), ("/hooks/keyed", "a")]
    assert found[2:] == [("/hooks/open", hello), ("/hooks/open", hello)]


LISTENER = """\
document: {dsl: '1.0.3', namespace: test, name: review, version: '1.0.0'}
do:
  - push:
      listen:
        to:
          one:
            with: {type: com.github.push, source: /hooks/github, subject: shop/site}
      output: {as: '${ .[0].commit }'}
"""


async def test_a_workflow_gets_what_a_service_sends(any_store, run_hooks, stopped_clock, caplog, tmp_path):
    caplog.set_level(logging.DEBUG)
    store, url = any_store
    async with run_hooks(store) as api, Node(store, url):
        await api.deploy(LISTENER)
        path = "/workflows/test/review/executions"
        execution = await api.post(path, 202, json={})
        await waiting(api, execution["id"])
        body = b'{"repository": {"full_name": "shop/site"}, "commit": "f00"}'
        signed = {"X-Hub-Signature-256": "sha256=" + signature(SECRETS["GITHUB"], body)}
        headers = {"X-GitHub-Event": "push", "X-GitHub-Delivery": "1", **signed}
        await send(api, "github", 401, body, "application/json", **{**headers, "X-Hub-Signature-256": "no"})
        await send(api, "github", 202, body, "application/json", **headers)
        async with api.session.get(f"{api.url}/api/v1/executions/{execution['id']}/events/stream") as stream:
            history = await stream.text()
        done = await api.get(f"/executions/{execution['id']}")
        assert (done["status"], done["output"]) == ("completed", "f00")
        everything = history + json.dumps(await published(api)) + await api.get("//metrics") + caplog.text
    assert [value for value in SECRETS.values() if value in everything] == []


async def waiting(api, id_):
    """Waits until the execution listens."""
    async with api.session.get(f"{api.url}/api/v1/executions/{id_}/events/stream") as stream:
        async for line in stream.content:
            if b"correlation-started" in line:
                return
