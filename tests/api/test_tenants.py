"""Two tenants that share a store, an API and services: nothing of one reaches the other."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from tests.api.keys import ON, bearer, key_for

from unspool.api.access import ACCESS
from unspool.cli.node import Node
from unspool.eventstore.consumers import Consumer
from unspool.eventstore.opening import open_store

DEADLINE_SECONDS = 60

CANARY = "canary-of-the-shop"

LISTEN = """\
document: {dsl: '1.0.3', namespace: shop, name: listen, version: '1.0.0'}
do:
  - wait: {listen: {to: {one: {with: {type: paid}}}}}
"""

SCHEDULED = """\
document: {dsl: '1.0.3', namespace: shop, name: nightly, version: '1.0.0'}
schedule: {every: {hours: 24}}
do:
  - a: {set: {n: 1}}
"""

WORKER = Consumer("workers", "test")


@dataclass
class Tenants:
    """An API, and the headers of an administrator of each of two tenants."""

    api: Any
    shop: dict[str, str]
    bank: dict[str, str]
    ids: dict[str, str]
    """What exists in the shop, by the name of a path's parameter."""


@pytest.fixture(params=["sqlite", "redis"])
async def shared_store(request, tmp_path) -> AsyncIterator[Any]:
    """A store and its URL."""
    url = f"sqlite:///{tmp_path}/shared.db"
    if request.param == "redis":
        url = request.getfixturevalue("redis_database")
    store = await open_store(url, {})
    yield store, url
    await store.close()


@pytest.fixture
async def tenants(shared_store, running_api) -> AsyncIterator[Tenants]:
    """A shop that has one of everything, and a bank that has nothing."""
    store, _ = shared_store
    async with running_api(store, authentication=ON) as api:
        shop = bearer(await key_for(store, "admin", tenant="shop", name="shop"))
        bank = bearer(await key_for(store, "admin", tenant="bank", name="bank"))
        await api.deploy(LISTEN, headers=shop)
        await api.deploy(SCHEDULED, headers=shop)
        body = {"id": "one", "input": {"secret": CANARY}}
        await api.post("/workflows/shop/listen/executions", 202, json=body, headers=shop)
        letter = None
        async with asyncio.timeout(DEADLINE_SECONDS):
            while letter is None:
                for delivery in await store.receive_messages(WORKER, 10, 1):
                    if delivery.body.execution == "one":
                        letter = await store.move_to_dead_letters(delivery, f"ValueError: {CANARY}", CANARY)
        await api.post("/events", 202, json=event("first"), headers=shop)
        ids = {
            "id": "one",
            "letter": letter,
            "schedule": "shop.nightly",
            "key": next(key.id for key in await store.api_keys() if key.tenant == "shop"),
            "position": (await store.published_events("shop"))[0].position,
        }
        yield Tenants(api, shop, bank, ids)


def event(id_: str) -> dict[str, Any]:
    return {"specversion": "1.0", "id": id_, "source": "/shop", "type": "paid", "data": CANARY}


async def answer(tenants, method, path, headers, **arguments):
    """Returns status and text of an answer; of a stream, what comes within its first heartbeats."""
    url = f"{tenants.api.url}{path}"
    async with tenants.api.session.request(method, url, headers=headers, **arguments) as response:
        if response.content_type == "text/event-stream":
            lines: list[bytes] = []
            while sum(line == b": heartbeat\n" for line in lines) < 2:
                lines.append(await response.content.readline())
            return response.status, b"".join(lines).decode()
        return response.status, await response.text()


def addresses(ids: dict[str, str]) -> list[tuple[str, str, dict[str, Any]]]:
    """Every route with every method, with the ids of the shop."""
    found = []
    for path, by_method in ACCESS.items():
        names = {"namespace": "shop", "name": "listen", "version": "1.0.0"}
        kind = (
            "letter"
            if "/dlq/" in path
            else "schedule"
            if "/schedules/" in path
            else "key"
            if "/keys/" in path
            else "id"
        )
        address = path.format(**names, id=ids[kind], position=ids["position"])
        for method in by_method:
            body = {"json": {"token": "x"}} if path.endswith("/session") and method == "POST" else {}
            if path.endswith("/executions") and method == "POST":
                body = {"json": {"id": "two"}}
            found.append((method, address, body))
    return found


async def test_no_route_shows_or_changes_what_another_tenant_has(tenants, shared_store):
    """Every route is called with the ids of the shop and the key of the bank."""
    store, _ = shared_store
    before = await snapshot(tenants, store)
    for method, address, body in addresses(tenants.ids):
        status, text = await answer(tenants, method, address, tenants.bank, **body)
        assert status < 500, (method, address, text)
        assert CANARY not in text, (method, address)
        if {*tenants.ids.values()} & {*address.split("/")}:
            assert status == 404, (method, address, text)
    assert await snapshot(tenants, store) == before


async def test_an_id_of_another_tenant_answers_as_one_that_does_not_exist(tenants):
    absent = {
        "id": "nul",
        "letter": "unknown:1-0",
        "schedule": "shop.nothing",
        "key": "0" * 16,
        "position": "99-0",
    }
    for (method, theirs, body), (_, unknown, _) in zip(
        addresses(tenants.ids), addresses(absent), strict=True
    ):
        if theirs == unknown:
            continue
        status, text = await answer(tenants, method, theirs, tenants.bank, **body)
        expected = await answer(tenants, method, unknown, tenants.bank, **body)
        # The address of the request is in the answer.
        assert (status, text.replace(theirs, "")) == (expected[0], expected[1].replace(unknown, ""))


async def test_what_belongs_to_no_tenant_is_refused(tenants):
    for path in ("//metrics", "/services"):
        await tenants.api.get(path, 403, headers=tenants.bank)


async def snapshot(tenants, store) -> Any:
    """Returns what the shop has."""
    lists = ("workflows", "executions", "schedules", "dlq", "executions/one", "executions/one/events")
    seen = {path: await tenants.api.get(f"/{path}", headers=tenants.shop) for path in lists}
    return seen, [key for key in await store.api_keys() if key.tenant == "shop"]


async def test_the_header_does_not_change_the_tenant(tenants):
    for method, address, body in addresses(tenants.ids):
        if "hooks" in address or "health" in address or "session" in address or address.startswith("/api/d"):
            continue
        headers = {**tenants.bank, "X-Tenant": "shop"}
        status, text = await answer(tenants, method, address, headers, **body)
        assert status == 403 or not address.startswith("/api/v1"), (method, address, text)
        assert CANARY not in text


async def test_lists_and_searches_show_only_the_own_tenant(tenants):
    for query in (
        "executions",
        "executions?status=pending",
        "executions?workflow=shop/listen",
        "executions?limit=200",
        "workflows",
        "schedules",
        "dlq",
        "dlq?execution=one",
    ):
        assert (await tenants.api.get(f"/{query}", headers=tenants.bank))["items"] == [], query
        assert (await tenants.api.get(f"/{query}", headers=tenants.shop))["items"], query
    for query in ("keys",):
        shown = (await tenants.api.get(f"/{query}", headers=tenants.bank))["items"]
        assert {key["tenant"] for key in shown} == {"bank"}


async def test_no_query_shows_what_another_tenant_has(tenants):
    """Every query parameter of every operation that reads gets what exists in the shop."""
    theirs = (*tenants.ids.values(), "one*", "shop/listen", "shop/listen:1.0.0", "paid", "/shop")
    described = await tenants.api.get("//api/openapi.json")
    asked = 0
    for path, item in described["paths"].items():
        if "get" not in item or "{" in path or path.endswith("/stream"):
            continue
        for parameter in item["get"].get("parameters", []):
            if parameter.get("in") != "query":
                continue
            for value in theirs:
                status, text = await answer(
                    tenants, "GET", path, tenants.bank, params={parameter["name"]: value}
                )
                assert status < 500, (path, parameter["name"], value, text)
                assert CANARY not in text, (path, parameter["name"], value)
                assert json.loads(text).get("items", []) == [], (path, value)
                asked += 1
    assert asked > 50


async def test_a_cursor_of_another_tenant_shows_nothing_of_it(tenants):
    for number in range(3):
        body = {"id": f"more{number}", "input": CANARY}
        await tenants.api.post("/workflows/shop/listen/executions", 202, json=body, headers=tenants.shop)
    page = await tenants.api.get("/executions?limit=1", headers=tenants.shop)
    assert page["next"]
    shown = await tenants.api.get("/executions", headers=tenants.bank, params={"cursor": page["next"]})
    assert shown == {"items": [], "next": None}


async def test_a_position_in_the_events_of_another_tenant_shows_nothing_of_it(tenants, shared_store):
    store, _ = shared_store
    [published] = await store.published_events("shop", limit=10)
    await tenants.api.post("/events", 202, json={**event("own"), "data": "own"}, headers=tenants.bank)
    for position in (published.position, None):
        headers = tenants.bank | ({"Last-Event-ID": position} if position else {})
        status, text = await answer(tenants, "GET", "/api/v1/events/stream", headers)
        assert status == 200
        assert CANARY not in text


async def test_an_event_reaches_only_the_executions_of_its_tenant(tenants, shared_store):
    """The same definition listens in both tenants, with the same ids."""
    store, url = shared_store
    api, path = tenants.api, "/workflows/shop/listen/executions"
    await api.deploy(LISTEN, headers=tenants.bank)
    for headers in (tenants.shop, tenants.bank):
        await api.post(path, 202, json={"id": "listening"}, headers=headers)
    async with Node(store, url, services=["worker", "timer"]), asyncio.timeout(DEADLINE_SECONDS):
        for headers in (tenants.shop, tenants.bank):
            while not await is_listening(api, headers):
                await asyncio.sleep(0.05)
        await api.post("/events", 202, json=event("second"), headers=tenants.shop)
        shown = await until_ended(api, tenants.shop)
        assert CANARY in json.dumps(shown["output"])
        # The same id and source were published in the shop; in the bank it is another event.
        await api.post("/events", 202, json={**event("second"), "data": "own"}, headers=tenants.bank)
        shown = await until_ended(api, tenants.bank)
        assert shown["output"] == ["own"]
    events = await api.get("/executions/listening/events", headers=tenants.bank)
    assert CANARY not in json.dumps(events)


async def is_listening(api, headers) -> bool:
    events = (await api.get("/executions/listening/events", headers=headers))["items"]
    return any(each["type"] == "workflow.correlation-started" for each in events)


async def until_ended(api, headers) -> Any:
    while (shown := await api.get("/executions/listening", headers=headers))["status"] != "completed":
        await asyncio.sleep(0.05)
    return shown


SAME = """\
document:
  dsl: '1.0.3'
  namespace: shop
  name: same
  version: '1.0.0'
  metadata: {unspool: {mask: [/hidden-OWNER]}}
do:
  - keep-OWNER:
      set: {out: '${ .own }', hidden-shop: '${ "in-" + "shop" }', hidden-bank: '${ "in-" + "bank" }'}
  - ask:
      listen:
        to: {one: {with: {type: told}, correlate: {order: {from: .data.order, expect: '${ .out }'}}}}
"""


async def test_equal_ids_and_names_in_two_tenants_stay_apart(tenants, shared_store):
    """What the API keeps in memory of definitions and histories is that of one tenant."""
    store, url = shared_store
    api, owners = tenants.api, {"shop": tenants.shop, "bank": tenants.bank}
    for owner, headers in owners.items():
        await api.deploy(SAME.replace("OWNER", owner), headers=headers)
        body = {"id": "same", "input": {"own": f"canary-{owner}"}, "tags": {"owner": owner}}
        await api.post("/workflows/shop/same/executions", 202, json=body, headers=headers)
    async with Node(store, url, services=["worker"]), asyncio.timeout(DEADLINE_SECONDS):
        for headers in owners.values():
            while (await api.get("/executions/same", headers=headers))["status"] != "waiting":
                await asyncio.sleep(0.05)
    told = {**event("told"), "type": "told", "data": {"order": "canary-shop"}}
    await api.post("/events", 202, json=told, headers=tenants.shop)
    for _ in range(2):  # the second time from memory
        for owner, other in (("shop", "bank"), ("bank", "shop")):
            for view in SAME_VIEWS:
                status, text = await answer(tenants, "GET", f"/api/v1/{view}", owners[owner])
                assert status == 200, (view, text)
                assert f"canary-{other}" not in text, (owner, view)
                assert f"keep-{other}" not in text, (owner, view)
                assert f"in-{owner}" not in text, (owner, view)
            for search in (f"tag=owner:{other}", f"correlation=canary-{other}", "parent=one"):
                shown = await api.get(f"/executions?{search}", headers=owners[owner])
                assert shown["items"] == [], (owner, search)
            kept = await api.get("/executions/same/state?at=4", headers=owners[owner])
            assert f"in-{other}" in json.dumps(kept), owner  # the other tenant masks it
            counts = await api.get("/counts", headers=owners[owner])
            assert counts["executions"]["waiting"] == 1
            figures = await api.get("/workflows/shop/same/statistics", headers=owners[owner])
            assert (figures["executions"], figures["open"]) == (0, 1)


SAME_VIEWS = (
    *("executions/same", "executions/same/events", "executions/same/state", "executions/same/why"),
    *("executions/same/diagram", "executions/same/timeline", "executions/same/state?at=3"),
    *("executions?id=same", "executions?workflow=shop/same", "executions?id=sam*"),
    *(
        "workflows/shop/same/1.0.0",
        "workflows/shop/same/latest/diagram",
        "workflows/shop/same/1.0.0/findings",
    ),
    *("events/stream", "executions/same/events/stream"),
)


async def test_ids_and_versions_of_another_tenant_are_free(tenants):
    other = LISTEN.replace("paid", "refunded")
    await tenants.api.deploy(other, expect=409, headers=tenants.shop)
    await tenants.api.deploy(other, expect=201, headers=tenants.bank)
    body = {"id": "one", "input": 7}
    path = "/workflows/shop/listen/executions"
    await tenants.api.post(path, 409, json=body, headers=tenants.shop)
    started = await tenants.api.post(path, 202, json=body, headers=tenants.bank)
    assert (started["tenant"], started["input"]) == ("bank", 7)


async def test_a_session_has_the_tenant_of_its_key(tenants):
    key = tenants.bank["Authorization"].removeprefix("Bearer ")
    response, body = await tenants.api.call("POST", "/session", 201, json={"token": key})
    assert body["tenant"] == "bank"
    cookie = {"Cookie": response.headers["Set-Cookie"].partition(";")[0]}
    await tenants.api.get("/executions/one", 404, headers=cookie)
    await tenants.api.get("/executions/one", 403, headers={**cookie, "X-Tenant": "shop"})


async def test_the_limit_of_one_key_does_not_slow_another_tenant(shared_store, running_api):
    store, _ = shared_store
    shop = bearer(await key_for(store, "read", tenant="shop", name="same"))
    bank = bearer(await key_for(store, "read", tenant="bank", name="same"))
    strict = replace(ON, key_rate=0.001, key_burst=1)
    async with running_api(store, authentication=strict) as api:
        await api.get("/executions", headers=shop)
        await api.get("/executions", 429, headers=shop)
        await api.get("/executions", headers=bank)


async def test_the_starts_of_one_tenant_are_limited(shared_store, running_api):
    store, _ = shared_store
    path = "/workflows/shop/listen/executions"
    everywhere = bearer(await key_for(store, "admin", tenant=None, name="root"))
    async with running_api(store, authentication=ON, tenant_start_rate=0.001, tenant_start_burst=2) as api:
        keys = {
            each: bearer(await key_for(store, "admin", tenant=each, name=each)) for each in ("shop", "bank")
        }
        for headers in keys.values():
            await api.deploy(LISTEN, headers=headers)
        began = time.monotonic()
        for _ in range(2):
            await api.post(path, 202, json={}, headers=keys["shop"])
        response, problem = await api.call("POST", path, 429, json={}, headers=keys["shop"])
        assert 1000 - (time.monotonic() - began) <= int(response.headers["Retry-After"]) <= 1000
        assert "0.001 executions a second" in problem["detail"]
        await api.post(path, 202, json={}, headers=keys["bank"])
        text = await api.get("//metrics", headers=everywhere)
    counted = re.findall(
        r'^unspool_tenant_api_requests_total\{status="(\d+)",tenant="(\w+)"\} (\d+)', text, re.MULTILINE
    )
    assert {("429", "shop", "1"), ("202", "shop", "2"), ("202", "bank", "1")} <= set(counted)
