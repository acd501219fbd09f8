"""Many tabs of one browser, which has six connections for all of them together."""

from playwright.async_api import Browser, Page, expect
from tests.dashboard.conftest import SLEEP, Server, Watched, visitor

TABS = 8

TURN = """(hidden) => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
"""Hides or shows a page. A browser without a window takes all of its pages for visible."""


async def test_hidden_tabs_leave_the_connections_to_the_visible_one(browser: Browser, server: Server) -> None:
    workflow = await server.deploy(SLEEP)
    ids = [await server.start(workflow) for _ in range(TABS)]
    watched = Watched(server.url)
    async with visitor(browser, watched) as first:
        tabs = [first, *[await new_tab(first, watched) for _ in ids[1:]]]
        for tab, id_ in zip(tabs, ids, strict=True):
            await server.reach(id_, "waiting")
            await tab.goto(f"{server.url}/executions/{id_}?tab=events")
            await expect(tab.locator(".facts .live")).to_be_visible()
            await tab.evaluate(TURN, True)
        await server.call("POST", f"/executions/{ids[0]}/cancel?wait=60")
        await first.evaluate(TURN, False)
        await expect(first.locator(".event").last).to_contain_text("workflow.cancelled")
        await expect(first.locator(".head .status")).to_have_text("cancelled")


async def new_tab(page: Page, watched: Watched) -> Page:
    tab = await page.context.new_page()
    watched.watch(tab)
    return tab
