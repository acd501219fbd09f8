"""Definitions over HTTP."""

import asyncio
import json

import pytest
import yaml
from tests.background import repeating
from tests.older_release import sqlite_worker

from unspool.eventstore.opening import open_store

BROKEN = """\
document: {dsl: '1.0.3', namespace: shop, name: greet, version: '1.0.0'}
do:
  - hello:
      sett:
        greeting: 1
"""


def versioned(text: str, version: str) -> str:
    return text.replace("version: '1.0.0'", f"version: '{version}'")


async def test_a_definition_is_stored_once(api, greet):
    ref = {"namespace": "shop", "name": "greet", "version": "1.0.0"}
    assert await api.deploy(greet, expect=201) == ref
    assert await api.deploy(greet, expect=200) == ref


async def test_a_stored_definition_is_at_its_location(api, greet):
    response, _ = await api.call("POST", "/workflows", 201, data=greet, headers={"Content-Type": "text/yaml"})
    location = response.headers["Location"]
    assert location == "/api/v1/workflows/shop/greet/1.0.0"
    assert await api.get("/" + location) == yaml.safe_load(greet)


async def test_a_version_with_another_text_is_rejected(api, greet):
    await api.deploy(greet)
    problem = await api.deploy(greet.replace("Hello", "Goodbye"), expect=409)
    assert "shop/greet:1.0.0" in problem["detail"]


@pytest.mark.parametrize("kind", ["application/yaml", "application/x-yaml; charset=utf-8", "text/yaml"])
async def test_yaml_media_types_are_accepted(api, greet, kind):
    await api.deploy(greet, headers={"Content-Type": kind})


async def test_a_definition_may_be_json(api, greet):
    text = json.dumps(yaml.safe_load(greet))
    await api.deploy(text, headers={"Content-Type": "application/json"})
    assert await api.get("/workflows/shop/greet/1.0.0") == yaml.safe_load(greet)


async def test_a_definition_without_a_media_type_is_read(api, greet):
    await api.deploy(greet, headers={"Content-Type": ""})


async def test_problems_of_a_definition_have_positions(api):
    problem = await api.deploy(BROKEN, expect=422)
    [error] = problem["errors"]
    message = error.pop("message")
    assert error == {"pointer": "/do/0/hello", "line": 3, "column": 5}
    assert "sett" in message


async def test_an_invalid_expression_is_reported(api, greet):
    problem = await api.deploy(greet.replace(".name", ".name ]"), expect=422)
    [error] = problem["errors"]
    assert (error["pointer"], error["line"]) == ("/do/0/hello/set/greeting", 9)


@pytest.mark.parametrize("wrong", ["$typo", "nothing(1)"])
async def test_an_error_in_an_expression_has_its_place_in_the_block(api, wrong):
    problem = await api.deploy(
        "document: {dsl: '1.0.3', namespace: test, name: block, version: 1.0.0}\n"
        "do:\n- a:\n    set:\n      x: |\n        ${\n          .order\n"
        f"            | .total + {wrong}\n        }}\n",
        expect=422,
    )
    [error] = problem["errors"]
    assert "is not defined" in error.pop("message")
    assert error == {"pointer": "/do/0/a/set/x", "line": 8, "column": 24}


async def test_a_text_that_is_not_a_definition_is_rejected(api):
    for text in ["", "just words", "a: [", "{", "[]", "- 1", "null", "\tdo: x", "a: *b"]:
        assert (await api.deploy(text, expect=422))["errors"]


async def test_a_body_that_is_not_utf8_is_rejected(api):
    problem = await api.post("/workflows", 400, data=b"do: \xff", headers={"Content-Type": "text/yaml"})
    assert "UTF-8" in problem["detail"]


async def test_other_media_types_are_rejected(api, greet):
    for kind in ["text/plain", "application/x-www-form-urlencoded", "image/png"]:
        problem = await api.deploy(greet, expect=415, headers={"Content-Type": kind})
        assert kind in problem["detail"]


async def test_a_definition_over_the_limit_is_rejected(api, greet, settings):
    await api.deploy(greet + "#" * settings.max_definition_bytes, expect=413)


async def test_lists_have_every_definition(api, greet):
    assert await api.get("/workflows") == {"items": [], "next": None}
    for version in ("1.10.0", "1.9.0", "1.10.0-beta"):
        await api.deploy(versioned(greet, version))
    await api.deploy(greet.replace("name: greet", "name: another"))

    everything = (await api.get("/workflows"))["items"]
    versions = (await api.get("/workflows/shop/greet"))["items"]
    assert [(i["name"], i["version"]) for i in everything] == [
        ("another", "1.0.0"),
        ("greet", "1.9.0"),
        ("greet", "1.10.0-beta"),
        ("greet", "1.10.0"),
    ]
    assert [i["version"] for i in versions] == ["1.9.0", "1.10.0-beta", "1.10.0"]
    assert all(i["createdAt"].endswith("Z") for i in everything)


async def test_latest_is_the_highest_version(api, greet):
    for version in ("1.10.0", "1.9.0"):
        await api.deploy(versioned(greet, version))
    latest = await api.get("/workflows/shop/greet/latest")
    assert latest["document"]["version"] == "1.10.0"


async def test_accept_chooses_the_form(api, greet):
    await api.deploy(greet)
    for accept, yields in [
        ("application/yaml", "application/yaml"),
        ("text/html, text/yaml;q=0.9", "application/yaml"),
        ("application/json, application/yaml", "application/json"),
        ("*/*", "application/json"),
    ]:
        response, body = await api.call("GET", "/workflows/shop/greet/1.0.0", 200, headers={"Accept": accept})
        assert response.content_type == yields
        assert body == (greet if yields.endswith("yaml") else yaml.safe_load(greet))


async def test_unknown_workflows_are_not_found(api, greet):
    await api.deploy(greet)
    for path in [
        "/workflows/shop/nothing",
        "/workflows/shop/nothing/1.0.0",
        "/workflows/shop/greet/9.9.9",
        "/workflows/shop/greet/9.9.9%00",
        "/workflows/shop/gr%7Bee%7Dt",
        "/workflows/shop/..%2f..%2fetc/1.0.0",
        "/workflows/%F0%9F%92%A5/greet/latest",
    ]:
        await api.get(path, 404)


async def test_tenants_do_not_see_each_other(api, greet):
    await api.deploy(greet, headers={"X-Tenant": "one"})
    other = {"X-Tenant": "other"}
    assert (await api.get("/workflows", headers=other))["items"] == []
    await api.get("/workflows/shop/greet/1.0.0", 404, headers=other)
    await api.post("/workflows/shop/greet/executions", 404, json={}, headers=other)


async def test_an_invalid_tenant_is_rejected(api):
    for tenant in ["a b", "a}", "{a", "x" * 64, "../a", "é"]:
        problem = await api.get("/workflows", 400, headers={"X-Tenant": tenant})
        assert "X-Tenant" in problem["detail"]


ODD = """\
document: {dsl: '1.0.3', namespace: shop, name: odd, version: '1.0.0'}
do:
  - charge:
      call: no-such-function
      with: {amount: 1}
"""


async def test_findings_of_a_stored_definition_have_their_places(api, greet):
    await api.deploy(greet)
    assert await api.get("/workflows/shop/greet/latest/findings") == {"items": []}
    await api.get("/workflows/shop/greet/2.0.0/findings", 404)
    await api.deploy(ODD)
    [finding] = (await api.get("/workflows/shop/odd/1.0.0/findings"))["items"]
    assert (finding["severity"], finding["line"]) == ("warning", 4)
    assert finding["pointer"].startswith("/do/0/charge")
    assert "no-such-function" in finding["message"]


async def test_problems_of_an_input_have_whole_pointers(api, greet):
    names = {"type": "object", "additionalProperties": {"type": "integer"}}
    await api.deploy(greet.replace("do:", f"input: {{schema: {{document: {json.dumps(names)}}}}}\ndo:", 1))
    long, given = "x" * 2_000, {"a: b": "x", "/": {}}
    path = "/workflows/shop/greet/latest/input-check"
    found = await api.post(path, 200, json={"input": {**given, long: "x"}})
    assert {each["pointer"] for each in found["problems"]} == {"/a: b", "/~1", ""}
    assert all("is not of type" in each["message"] for each in found["problems"])


async def test_a_deployment_warns_of_what_older_services_do_not_know(tmp_path, running_api):
    store = await open_store(f"sqlite:///{tmp_path}/s.db", {})
    text = """
document: {dsl: '1.0.3', namespace: shop, name: parent, version: '1.0.0'}
do:
  - child: {run: {workflow: {namespace: shop, name: child, version: '1.0.0'}}}
"""
    async with running_api(store) as api:
        assert "warnings" not in await api.deploy(text)
        async with repeating(sqlite_worker(tmp_path / "s.db")):
            await asyncio.sleep(0)
            [warning] = (await api.deploy(text, 200))["warnings"]
    await store.close()
    assert (warning["pointer"], warning["line"], warning["column"]) == ("/do/0/child/run", 4, 13)
    assert "'run: workflow'" in warning["message"]
