"""Keyboard, colours, contrast and small screens."""

import re
from datetime import datetime, timedelta

import pytest
from playwright.async_api import Browser, Page, expect
from tests.dashboard.conftest import REFUSE, SLEEP, Server, Watched, becomes, visitor
from tests.dashboard.test_start_form import NESTED

VIEWS = ("/", "/?parent=none", "/workflows", "/schedules", "/events?publish=1", "/dead-letters", "/system")

CONTRAST = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (colour, below) => {
    canvas.fillStyle = below; canvas.fillRect(0, 0, 1, 1);
    canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data;
  };
  const light = ([...channels]) => channels.slice(0, 3)
    .map(c => c / 255).map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    const parents = [];
    for (let each = element; each; each = each.parentElement) parents.unshift(each);
    let colour = "white";
    for (const each of parents) {
      const [r, g, b] = rgba(getComputedStyle(each).backgroundColor, colour);
      colour = `rgb(${r} ${g} ${b})`;
    }
    return colour;
  };
  const low = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const ignored = element.closest(":disabled, script, noscript, option") || !element.checkVisibility();
    if (ignored || !walker.currentNode.data.trim()) continue;
    const below = behind(element);
    const colours = [rgba(getComputedStyle(element).color, below), rgba(below, "white")];
    const [one, other] = colours.map(light).sort((a, b) => b - a);
    const contrast = (one + 0.05) / (other + 0.05);
    if (contrast < 4.5) low.push(`${walker.currentNode.data.trim().slice(0, 30)}: ${contrast.toFixed(2)}`);
  }
  return low;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_text_has_enough_contrast(browser: Browser, server: Server, scheme: str) -> None:
    faulted = await server.start(await server.deploy(REFUSE), wait=60)
    waiting = await server.start(await server.deploy(SLEEP))
    nested = await server.deploy(NESTED)
    pages = (
        *VIEWS,
        f"/workflows/{nested}",
        f"/workflows/{nested}?tab=start",
        *(f"/executions/{faulted}?tab={tab}&at=2" for tab in ("tasks", "timeline", "events", "state")),
    )
    async with visitor(browser, Watched(server.url), color_scheme=scheme) as page:
        for path in (*pages, f"/executions/{waiting}"):
            await page.goto(path)
            await expect(page.locator("main h1").or_(page.locator("main h2")).first).to_be_visible()
            await page.wait_for_load_state(
                "networkidle"
            ) if "events" not in path and "executions" not in path else None
            assert await page.evaluate(CONTRAST) == [], path


async def test_everything_is_reached_by_keyboard(server: Server, page: Page) -> None:
    id_ = await server.start(await server.deploy(SLEEP))
    await server.reach(id_, "waiting")
    await page.goto(f"/executions/{id_}")
    await expect(page.locator("tr.row")).to_have_count(2)
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("main")).to_be_focused()
    reached = []
    for _ in range(30):
        await page.keyboard.press("Tab")
        reached.append(
            await page.evaluate(
                "document.activeElement.ariaLabel ?? document.activeElement.textContent.trim()"
            )
        )
    wanted = ("Copy id", "Suspend", "Cancel", "Event", "Timeline", "State", "first", "nap")
    assert [name for name in wanted if name not in reached] == [], reached


async def test_a_dialog_keeps_the_focus_and_gives_it_back(server: Server, page: Page) -> None:
    id_ = await server.start(await server.deploy(SLEEP))
    await server.reach(id_, "waiting")
    await page.goto(f"/executions/{id_}")
    cancel = page.get_by_role("button", name="Cancel")
    await cancel.focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Keep as it is")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(cancel).to_be_focused()


async def test_the_colours_can_be_chosen_and_stay(browser: Browser, server: Server) -> None:
    async with visitor(browser, Watched(server.url), color_scheme="light") as page:
        await page.goto("/")
        body, paper = page.locator("body"), "getComputedStyle(document.body).backgroundColor"
        light = await page.evaluate(paper)
        await page.get_by_label("Colours").select_option("dark")
        await becomes(body, f"() => {paper} !== '{light}'")
        dark = await page.evaluate(paper)
        await page.reload()
        assert await page.evaluate(paper) == dark
        await page.get_by_label("Colours").select_option("system")
        await becomes(body, f"() => {paper} === '{light}'")


async def test_a_phone_needs_no_sideways_scrolling(browser: Browser, server: Server) -> None:
    id_ = await server.start(await server.deploy(SLEEP), input={"name": "x" * 300})
    await server.reach(id_, "waiting")
    tabs = ("tasks", "diagram", "timeline", "events", "state", "data")
    shown = [f"/executions/{id_}?tab={tab}&run=1" for tab in tabs]
    workflow = await server.deploy(NESTED)
    shown += [f"/workflows/{workflow}?tab={tab}" for tab in ("overview", "diagram", "source", "start")]
    async with visitor(browser, Watched(server.url)) as page:
        await page.set_viewport_size({"width": 360, "height": 760})
        for path in (*VIEWS, *shown):
            await page.goto(path)
            await expect(page.locator("main h1")).to_be_visible()
            wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert await page.evaluate(wide) <= 0, path


async def test_times_are_in_the_zone_of_the_browser(browser: Browser, server: Server) -> None:
    id_ = await server.start(await server.deploy(REFUSE), wait=60)
    first = (await server.call("GET", f"/executions/{id_}/events"))["items"][0]["time"]
    tokyo = datetime.fromisoformat(first) + timedelta(hours=9)
    async with visitor(browser, Watched(server.url), timezone_id="Asia/Tokyo") as page:
        await page.goto(f"/executions/{id_}?tab=events&at=1")
        await expect(page.locator(".event[aria-selected=true]")).to_contain_text(f"{tokyo:%H:%M:%S}")
        await expect(page.locator(".event").first.get_by_title(first)).to_be_visible()


async def test_every_view_has_a_title_and_one_heading(page: Page) -> None:
    for path in VIEWS:
        await page.goto(path)
        await expect(page).to_have_title(re.compile("Unspool"))
        await expect(page.locator("h1")).to_have_count(1)
