"""What users can fill in is only ever text: nothing of it runs, loads or leaves the page.

`watched` fails each test if a dialog opens, something is requested from another host, or a policy refuses
something (then text had become an element).
"""

import json
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from playwright.async_api import Page, expect
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
    id_ = await server.start(name, input=HOSTILE, wait=20)
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


@pytest.mark.parametrize("path", ["/executions/", "/workflows/shop/", "/"])
async def test_addresses(page: Page, watched: Watched, path: str) -> None:
    watched.allowed = ("404", "422")
    hostile = quote(MARKUP.replace("/", ""), safe="")
    names = ("tab", "at", "run", "workflow", "status", "cursor", "name")
    query = "&".join(f"{name}={hostile}" for name in names)
    await page.goto(f"{path}{'' if path == '/' else hostile}?{query}")
    await expect(page.locator("main")).to_contain_text("There is no such" if path != "/" else "must")
    await check_no_element(page)
