"""What users can fill in is only ever text: nothing of it runs, loads or leaves the page.

`watched` fails each test if a dialog opens, something is requested from another host, or a policy refuses
something (then text had become an element).
"""

import json
import re
from functools import partial
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from playwright.async_api import Page, Route, expect
from tests.dashboard.conftest import Server, Watched

MARKUP = (
    "\"'><img src=https://evil.example/x onerror=alert(1)><script>alert(2)</script>"
    "<svg onload=alert(3)></svg><a href=javascript:alert(4)>x</a>{{alert(5)}}<b class=planted>"
)

VNODE = {
    "type": "img",
    "props": {"src": "https://evil.example/y", "onerror": "alert(6)"},
    "__v": 1,
    "key": None,
}

HOSTILE = {MARKUP: MARKUP, "vnode": VNODE, "link": "javascript:alert(7)", "__proto__": {"polluted": MARKUP}}


def workflow(*, fault: bool = False) -> dict[str, Any]:
    """A definition in which every text is hostile."""
    last = (
        {
            "raise": {
                "error": {
                    "type": f"https://x.example/{uuid4().hex}",
                    "status": 500,
                    "title": MARKUP,
                    "detail": MARKUP,
                }
            }
        }
        if fault
        else {"wait": {"minutes": 10}}
    )
    return {
        "document": {
            "dsl": "1.0.3",
            "namespace": "shop",
            "name": f"w{uuid4().hex[:10]}",
            "version": "1.0.0",
            "title": MARKUP,
            "summary": MARKUP,
        },
        "input": {
            "schema": {
                "document": {
                    "type": "object",
                    "properties": {
                        MARKUP: {"type": "string", "title": MARKUP, "description": MARKUP, "default": MARKUP},
                        "choice": {"enum": [MARKUP]},
                    },
                }
            }
        },
        "do": [{MARKUP: {"set": {"out": MARKUP, "all": "${ . }"}}}, {"last": last}],
    }


async def deployed(server: Server, definition: dict[str, Any]) -> str:
    return await server.deploy(json.dumps(definition))


async def check_no_element(page: Page) -> None:
    """Nothing of the markup is an element, and no link leads elsewhere."""
    assert await page.locator(".planted, main img, main script, main svg[onload]").count() == 0
    links = await page.evaluate("[...document.links].map(link => link.href)")
    assert [link for link in links if not link.startswith("http://127.0.0.1")] == []
    assert await page.evaluate("({}).polluted === undefined")


@pytest.mark.parametrize("tab", ["tasks", "diagram", "timeline", "events", "state", "data"])
async def test_executions(server: Server, page: Page, tab: str) -> None:
    id_ = await server.start(await deployed(server, workflow()), input=HOSTILE)
    await server.reach(id_, "waiting")
    await page.goto(f"/executions/{id_}?tab={tab}&run=1")
    await expect(page.locator(".head .status")).to_have_text("waiting")
    if tab in ("tasks", "state", "data"):
        await expect(page.locator("main")).to_contain_text("onerror=alert(1)")
    else:
        await expect(page.locator(".event, .lane, .diagram [data-pointer]").first).to_be_visible()
    await check_no_element(page)


async def test_errors(server: Server, page: Page) -> None:
    name = await deployed(server, workflow(fault=True))
    id_ = await server.start(name, input=HOSTILE, wait=60)
    await page.goto(f"/?workflow={name}")
    await expect(page.locator("tbody tr")).to_contain_text("onerror=alert(1)")
    await check_no_element(page)
    await page.goto(f"/executions/{id_}?run=2")
    await expect(page.locator("tr.details")).to_contain_text("onerror=alert(1)")
    await check_no_element(page)


@pytest.mark.parametrize("tab", ["overview", "diagram", "source", "start"])
async def test_workflows(server: Server, page: Page, tab: str) -> None:
    name = await deployed(server, workflow())
    await page.goto(f"/workflows/{name}?tab={tab}")
    await expect(page.locator("main")).to_contain_text("onerror=alert(1)")
    if tab == "diagram":
        await expect(page.locator(".diagram [data-pointer]")).to_have_count(2)
    if tab == "source":
        await expect(page.locator(".lines")).to_be_visible()
    await check_no_element(page)
    await page.goto("/workflows")
    await check_no_element(page)


async def test_events(server: Server, page: Page) -> None:
    type_ = f"{MARKUP}{uuid4().hex}"
    event = {
        "specversion": "1.0",
        "id": MARKUP + uuid4().hex,
        "source": "/bank",
        "type": type_,
        "subject": MARKUP,
        "data": HOSTILE,
    }
    await server.call("POST", "/events", json=event, headers={"Content-Type": "application/cloudevents+json"})
    await page.goto("/events")
    await page.locator(".fold-row", has_text=type_[-32:]).click()
    await expect(page.locator("tr.details")).to_contain_text("onerror=alert(1)")
    await check_no_element(page)


async def test_tags(server: Server, page: Page) -> None:
    id_ = await server.start(await deployed(server, workflow()), tags={"note": MARKUP[:256]})
    await server.reach(id_, "waiting")
    for path in (f"/executions/{id_}", "/?since=1h"):
        await page.goto(path)
        await expect(page.locator(".tag").first).to_contain_text("onerror=alert(1)")
        await check_no_element(page)
    await page.locator(".tag").first.click()
    await expect(page).to_have_url(re.compile("tag="))
    await check_no_element(page)


async def test_schedules(server: Server, page: Page) -> None:
    pattern = MARKUP.replace("{{alert(5)}}", "")  # a type is a regular expression
    definition = workflow() | {"schedule": {"on": {"one": {"with": {"type": pattern, "subject": pattern}}}}}
    name = await deployed(server, definition)
    for path in ("/schedules", f"/workflows/{name}"):
        await page.goto(path)
        await expect(page.locator("td.code", has_text="onerror=alert(1)").first).to_be_visible()
        await check_no_element(page)


async def test_what_an_event_was_refused_by(server: Server, page: Page) -> None:
    type_ = f"paid.{uuid4().hex}"
    filter_ = {"with": {"type": type_}, "correlate": {"order": {"from": ".data.order", "expect": MARKUP}}}
    definition = workflow() | {"do": [{MARKUP.replace("/", ""): {"listen": {"to": {"one": filter_}}}}]}
    id_ = await server.start(await deployed(server, definition))
    await server.reach(id_, "waiting")
    event = {"specversion": "1.0", "id": MARKUP, "source": f"/{uuid4()}", "type": type_, "subject": MARKUP}
    event["data"] = {"order": MARKUP + "x"}
    await server.call("POST", "/events", json=event, headers={"Content-Type": "application/cloudevents+json"})
    await page.goto(f"/events?type={quote(type_)}")
    await page.locator(".fold-row").click()
    near = page.get_by_role("region", name="Nearly accepted by")
    await expect(near).to_contain_text("onerror=alert(1)")
    await check_no_element(page)
    await page.goto(f"/executions/{id_}")
    await page.get_by_text("Facts").click()
    await expect(page.locator(".why")).to_contain_text("onerror=alert(1)")
    await check_no_element(page)


ANSWERS: dict[str, tuple[str, Any]] = {
    "dead letters": (
        "/dead-letters?open=1-0",
        {
            "**/api/v1/dlq?*": {
                "items": [
                    {
                        "id": "1-0",
                        "execution": "x",
                        "kind": MARKUP,
                        "error": MARKUP,
                        "attempts": 3,
                        "buriedAt": MARKUP,
                    }
                ],
                "next": MARKUP,
            },
            "**/api/v1/dlq/*": {"id": "1-0", "body": HOSTILE, "traceback": MARKUP},
        },
    ),
    "system": (
        "/system",
        {
            "**/api/v1/services": {
                "store": {"status": MARKUP, "roundTripSeconds": 0.001},
                "timers": {"lateSeconds": 0},
                "deadLetters": 0,
                "items": [
                    {
                        "service": MARKUP,
                        "name": MARKUP,
                        "version": MARKUP,
                        "load": MARKUP,
                        "capacity": 1,
                        "used": 1,
                        "queues": [MARKUP],
                        "missingKeys": [MARKUP],
                        "startedAt": MARKUP,
                    }
                ],
                "queues": [
                    {"queue": MARKUP, "waiting": 1, "held": 1, "oldestSeconds": 1, "services": 0},
                ],
                "sinks": {MARKUP: {"status": MARKUP, "lag": 1, "error": MARKUP}},
                "sources": {},
            },
            "**/api/v1/functions": {
                "items": [
                    {
                        "name": MARKUP,
                        "version": MARKUP,
                        "queue": MARKUP,
                        "executors": 0,
                        "registeredAt": MARKUP,
                    }
                ]
            },
        },
    ),
    "caller": (
        "/",
        {
            "**/api/v1/session": {
                "name": MARKUP,
                "tenant": MARKUP,
                "scopes": ["read", "start", "operate", "admin"],
                "csrf": "x",
                "authentication": True,
            }
        },
    ),
}
"""Answers of an API that has hostile texts where users of other programs put them: by view, path and answers.
The names of services, functions and keys come from all programs that may write to the store."""


@pytest.mark.parametrize("view", ANSWERS)
async def test_what_the_api_answers(page: Page, view: str) -> None:
    path, answers = ANSWERS[view]
    for address, answer in answers.items():
        await page.route(address, partial(Route.fulfill, json=answer))
    await page.goto(path)
    await expect(page.locator("#app")).to_contain_text("onerror=alert(1)")
    await check_no_element(page)


@pytest.mark.parametrize("path", ["/executions/", "/workflows/shop/", "/"])
async def test_addresses(page: Page, watched: Watched, path: str) -> None:
    watched.allowed = ("404", "422")
    hostile = quote(MARKUP.replace("/", ""), safe="")
    names = ("tab", "at", "run", "workflow", "status", "cursor", "name", "parent", "until", "correlation")
    query = "&".join(f"{name}={hostile}" for name in names)
    await page.goto(f"{path}{'' if path == '/' else hostile}?{query}")
    await expect(page.locator("main")).to_contain_text("There is no such" if path != "/" else "must")
    await check_no_element(page)
