"""What a page shows while the API is away, after its session has ended, and when what it shows is deleted."""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, Route, expect
from tests.dashboard.conftest import SLEEP, Server, Watched, proxied, running, visitor
from tests.dashboard.test_events import paid
from tests.dashboard.test_login import create_key
from tests.ports import free_port

AWAY = ("net::ERR_",)
"""What the console says of requests that get no answer."""


@pytest.mark.timeout(300)  # starts the program twice
async def test_pages_go_on_after_the_server_was_away(browser: Browser, tmp_path: Path) -> None:
    async with AsyncExitStack() as pages:
        async with running(tmp_path, port=str(free_port())) as server:
            id_ = await server.start(await server.deploy(SLEEP))
            await server.reach(id_, "waiting")
            watched = Watched(server.url, allowed=AWAY)
            page, events = [await pages.enter_async_context(visitor(browser, watched)) for _ in range(2)]
            await page.goto(f"/executions/{id_}?tab=events")
            await expect(page.locator(".facts .live")).to_be_visible()
            await events.goto("/events")
            await expect(events.get_by_text("No events yet")).to_be_visible()
        for each in (page, events):
            await expect(each.get_by_role("alert")).to_contain_text("The API does not answer")
            await expect(each.locator(".live")).to_have_count(0)
        async with running(tmp_path, port=server.url.rpartition(":")[2]) as again:
            for each in (page, events):
                await expect(each.locator(".live")).to_be_visible()
                await expect(each.get_by_role("alert")).to_have_count(0)
            await again.call("POST", f"/executions/{id_}/cancel?wait=60")
            await expect(page.locator(".head .status")).to_have_text("cancelled")
            await expect(page.locator(".event[aria-selected=true]")).to_contain_text("workflow.cancelled")
            await again.call("POST", "/events", json=paid("after.restart", "A-1"))
            await expect(events.locator("tbody tr.row")).to_contain_text("after.restart")
            await pages.aclose()  # before the server ends


WORKFLOW = "/workflows/{workflow}"
EXECUTION = "/executions/{id}"


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/", "table tr.row"),
        ("/workflows", "table tr"),
        (WORKFLOW, "h1"),
        (f"{WORKFLOW}?tab=diagram", "svg [data-pointer]"),
        (f"{WORKFLOW}?tab=source", ".lines li >> nth=3"),
        (f"{WORKFLOW}?tab=source", "text=no findings"),
        (f"{WORKFLOW}?tab=start", "h2"),
        (EXECUTION, "tr.row >> nth=1"),
        (EXECUTION, "text=Cancel"),
        (f"{EXECUTION}?run=1", "text=Hello Ada"),
        (f"{EXECUTION}?tab=diagram", "svg [data-pointer]"),
        (f"{EXECUTION}?tab=timeline", ".bars li"),
        (f"{EXECUTION}?tab=state", "[data-at]"),
    ],
)
async def test_what_fails_once_is_loaded_again(
    server: Server, page: Page, watched: Watched, path: str, shown: str
) -> None:
    """The first request to each address fails: by turns without an answer and with 503."""
    watched.allowed = (*AWAY, "503")
    failed: set[str] = set()

    async def fail_once(route: Route) -> None:
        if route.request.url in failed:
            await route.continue_()
        elif len(failed) % 2:
            await route.fulfill(status=503, json={"detail": "The store is unavailable"})
        else:
            await route.abort()
        failed.add(route.request.url)

    workflow = await server.deploy(SLEEP)
    id_ = await server.start(workflow, input={"name": "Ada"})
    await server.reach(id_, "waiting")
    await page.route("**/api/v1/**", fail_once)
    await page.goto(path.format(workflow=workflow, id=id_))
    await expect(page.locator("main").locator(shown).first).to_be_visible()
    await expect(page.locator(".failure")).to_have_count(0)
    assert len(failed) > 1


@pytest.mark.parametrize("request_", [b"/findings ", b"Accept: application/yaml"])
async def test_an_answer_that_is_cut_is_loaded_again(
    browser: Browser, server: Server, request_: bytes
) -> None:
    workflow = await server.deploy(SLEEP)
    async with proxied(server) as proxy:
        proxy.hold_back_the_body_for(request_)
        async with visitor(browser, Watched(f"http://127.0.0.1:{proxy.port}", allowed=AWAY)) as page:
            await page.goto(f"/workflows/{workflow}?tab=source")
            await proxy.holds.wait()
            proxy.cut()
            await expect(page.locator(".lines li >> nth=3")).to_be_visible()
            await expect(page.get_by_text("no findings")).to_be_visible()
            await expect(page.locator(".failure")).to_have_count(0)


async def test_a_history_is_followed_after_too_many_requests(
    server: Server, page: Page, watched: Watched
) -> None:
    watched.allowed = ("429",)
    id_ = await server.start(await server.deploy(SLEEP))
    await page.route("**/events/stream*", lambda route: route.fulfill(status=429, json={}), times=1)
    await page.goto(f"/executions/{id_}?tab=events")
    await expect(page.locator(".facts .live")).to_be_visible()
    await expect(page.locator(".failure")).to_have_count(0)


async def test_a_session_that_ended_and_an_execution_that_is_deleted(
    browser: Browser, tmp_path: Path
) -> None:
    retention = {"UNSPOOL_RETENTION": "4s", "UNSPOOL_RETENTION_INTERVAL": "1"}
    async with running(tmp_path, UNSPOOL_AUTH="on", **retention) as server:
        admin = await create_key(tmp_path, "admin")
        server.session.headers["Authorization"] = f"Bearer {admin}"
        id_ = await server.start(await server.deploy(SLEEP))
        await server.reach(id_, "waiting")
        async with visitor(browser, Watched(server.url, allowed=("401", "404"))) as page:
            await page.goto(f"/executions/{id_}")
            field = page.get_by_label("API key or JWT")
            for _ in range(2):
                await field.fill(admin)
                await page.keyboard.press("Enter")
                await expect(page.locator(".head .status")).to_have_text("waiting")
                await page.context.clear_cookies()
                await expect(field).to_be_visible()
            await field.fill(admin)
            await page.keyboard.press("Enter")
            await expect(page.locator("tr.row")).to_have_count(2)
            await server.call("POST", f"/executions/{id_}/cancel?wait=60")
            await expect(page.get_by_text("There is no such execution")).to_be_visible()
            await page.get_by_role("link", name="Show all executions").click()
            await expect(page.get_by_text("No executions yet")).to_be_visible()
