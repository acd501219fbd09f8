"""The page of the API: Swagger UI shows every operation, and a call can be tried."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect
from tests.dashboard.conftest import Watched, running, visitor
from tests.dashboard.test_login import create_key


async def publish(page: Page) -> str:
    """Tries `POST /events` with the example of the description; returns the status of the answer."""
    operation = page.locator("#operations-events-publishEvents")
    await operation.locator(".opblock-summary-control").click()
    async with page.expect_response(lambda response: response.url.endswith("/api/v1/events")) as sent:
        await operation.get_by_role("button", name="Execute").click()
    status = str((await sent.value).status)
    await expect(operation.locator(".live-responses-table .response-col_status").last).to_contain_text(status)
    return status


async def with_key(page: Page, key: str) -> None:
    """Gives the page a key."""
    await page.goto("/api/docs")
    await page.get_by_role("button", name="Authorize").click()
    form = page.locator(".auth-container form", has_text="bearer")
    await form.get_by_role("textbox").fill(key)
    await form.get_by_role("button", name="Apply credentials").click()
    await page.get_by_role("button", name="Close").first.click()


async def with_session(page: Page, key: str) -> None:
    """Logs in to the dashboard, and returns to the page."""
    await page.goto("/")
    await page.get_by_label("API key or JWT").fill(key)
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("key:start")).to_be_visible()
    await page.goto("/api/docs")


@pytest.mark.parametrize("authorize", [with_key, with_session])
async def test_a_call_needs_a_key_or_a_session(
    browser: Browser, tmp_path: Path, authorize: Callable[[Page, str], Awaitable[None]]
) -> None:
    async with running(tmp_path, UNSPOOL_AUTH="on") as server:
        key = await create_key(tmp_path, "start")
        async with visitor(browser, Watched(server.url, allowed=("401", "403"))) as page:
            await page.goto("/api/docs")
            assert await publish(page) == "401"
            await authorize(page, key)
            assert await publish(page) == "202"


async def test_a_call_can_be_tried(server, page) -> None:
    await page.goto(f"{server.url}/api/docs")
    document = await server.session.get(f"{server.url}/api/openapi.json")
    paths = (await document.json())["paths"]
    count = sum(method != "parameters" for item in paths.values() for method in item)
    await expect(page.locator(".opblock")).to_have_count(count)

    counts = page.locator("#operations-executions-countExecutions")
    await counts.locator(".opblock-summary-control").click()
    await counts.get_by_role("button", name="Execute").click()
    answer = counts.locator(".live-responses-table .response")
    await expect(answer.locator(".response-col_status")).to_contain_text("200")
    await expect(answer.locator(".response-col_description")).to_contain_text("atLeast")


async def test_the_policy_of_the_page_allows_no_script_inside_it(server) -> None:
    async with server.session.get(f"{server.url}/api/docs") as response:
        policy = response.headers["Content-Security-Policy"].split("; ")
        text = await response.text()
    assert {"default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"} <= {
        *policy
    }
    assert "<script>" not in text
    assert "://" not in text
