"""Every view by keyboard alone, and the names that screen readers say."""

import re
from uuid import uuid4

import pytest
from playwright.async_api import Locator, Page, expect
from tests.dashboard.conftest import SLEEP, Server, becomes
from tests.dashboard.test_events import listeners, paid
from tests.dashboard.test_execution import FORK
from tests.dashboard.test_start_form import NESTED
from tests.dashboard.test_time_travel import PARENT

MOST = 90
"""How often Tab is pressed at most."""


async def tab_to(page: Page, target: Locator) -> None:
    """Presses Tab until an element has the focus."""
    await expect(target).to_be_visible()
    for _ in range(MOST):
        if await target.evaluate("element => element === document.activeElement"):
            return
        await page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not reach {target}")


async def press(page: Page, target: Locator, key: str = "Enter") -> None:
    await tab_to(page, target)
    await page.keyboard.press(key)


async def write(page: Page, target: Locator, text: str) -> None:
    await tab_to(page, target)
    await page.keyboard.type(text)


async def test_acceptances_and_near_misses(server: Server, page: Page) -> None:
    type_ = f"keys.{uuid4().hex}"
    first, second = await listeners(server, type_, "A-1", "A-2")
    await server.call("POST", "/events", json=paid(type_, "A-1"))
    await server.reach(first, "completed")
    await page.goto(f"/events?type={type_}")
    event = page.get_by_role("button", name=type_)
    await press(page, event)
    await expect(event).to_be_focused()
    await expect(event).to_have_attribute("aria-expanded", "true")
    await tab_to(page, page.get_by_role("link", name=first))
    await press(page, page.get_by_role("region", name="Nearly accepted by").get_by_role("link", name=second))
    await expect(page.get_by_role("heading", level=1)).to_have_text(second)
    await press(page, page.get_by_text("Facts"))
    await press(page, page.get_by_role("region", name="Why it waits").get_by_role("link", name=type_))
    await expect(page).to_have_url(re.compile(r"/events\?type="))


async def test_the_start_form_of_a_nested_schema(server: Server, page: Page) -> None:
    await page.goto(f"/workflows/{await server.deploy(NESTED)}")
    await press(page, page.get_by_role("link", name="Start an execution"))
    await write(page, page.get_by_label("name *"), "Ada")
    await write(page, page.get_by_label("mail"), "ada@example.com")
    await press(page, page.get_by_role("button", name="Add to lines"))
    await page.keyboard.press("Shift+Tab")
    await page.keyboard.press("Shift+Tab")
    await write(page, page.get_by_label("price"), "9.5")
    await page.keyboard.press("Shift+Tab")
    await write(page, page.get_by_label("sku"), "lamp")
    await tab_to(page, page.get_by_label("Form of delivery"))
    await page.keyboard.press("ArrowDown")
    await write(page, page.get_by_label("shop"), "7")
    await press(page, page.get_by_role("button", name="Add a tag"))
    await page.keyboard.press("Shift+Tab")
    await expect(page.get_by_role("button", name=re.compile("Remove"))).not_to_have_count(0)
    await page.get_by_label("Name of tag 1").focus()
    await page.keyboard.type("order")
    await write(page, page.get_by_label("Value of tag 1"), "A-1")
    await press(page, page.get_by_role("button", name="Start", exact=True))
    await expect(page).to_have_url(re.compile("/executions/"))
    execution = await server.reach(page.url.rpartition("/")[2], "completed")
    assert execution["input"]["lines"] == [{"sku": "lamp", "price": 9.5}]
    assert execution["input"]["delivery"] == {"shop": 7}
    assert execution["tags"] == {"order": "A-1"}


async def test_the_figures_of_a_workflow(server: Server, page: Page) -> None:
    workflow = await server.deploy(FORK)
    done = await server.start(workflow, wait=60)
    await page.goto(f"/workflows/{workflow}")
    version = page.get_by_role("button", name="Version 1.0.0")
    await press(page, version)
    await expect(version).to_have_attribute("aria-pressed", "true")
    await expect(page).to_have_url(re.compile("of=version"))
    await expect(page.get_by_role("region", name="Figures")).to_contain_text("1 success")
    await press(page, page.get_by_role("link", name=done))
    await expect(page.get_by_role("heading", level=1)).to_have_text(done)


async def test_lanes_and_sub_workflows_of_the_timeline(server: Server, page: Page) -> None:
    child = await server.deploy(FORK)
    parent = await server.deploy(PARENT.replace("CHILD", child.partition("/")[2]))
    id_ = await server.start(parent, wait=60)
    await page.goto(f"/executions/{id_}")
    await press(page, page.get_by_role("link", name="Timeline"))
    await press(page, page.get_by_role("button", name="Sub-workflow of sub"))
    await expect(page.get_by_role("img", name=re.compile("^mail: completed"))).to_be_visible()
    await press(page, page.get_by_role("listitem").get_by_role("link", name=re.compile("^[0-9A-Z]{26}$")))
    await expect(page.locator(".lane-name")).to_have_count(6)
    await press(page, page.get_by_role("listitem").get_by_role("link", name="label"))
    await expect(page.locator("tr.details")).to_contain_text("label run")


async def test_the_size_of_a_diagram_and_its_tasks(server: Server, page: Page) -> None:
    id_ = await server.start(await server.deploy(FORK), wait=60)
    await page.goto(f"/executions/{id_}?tab=diagram")
    drawn = page.locator(".diagram svg")
    before = (await drawn.bounding_box() or {})["width"]
    await press(page, page.get_by_role("button", name="Larger"), "Space")
    await becomes(drawn, f"svg => svg.getBoundingClientRect().width > {before}")
    await press(page, page.locator("[data-pointer$='/mail']"))
    await expect(page.locator("tr.details")).to_contain_text("mail run")


async def test_filters_by_times_parent_and_correlation(server: Server, page: Page) -> None:
    child = await server.deploy(FORK)
    parent = await server.deploy(PARENT.replace("CHILD", child.partition("/")[2]))
    id_ = await server.start(parent, wait=60)
    rows = page.locator("tbody tr")
    await page.goto("/")
    await press(page, page.get_by_role("button", name="More filters"))
    await write(page, page.get_by_label("Parent").last, id_)
    await page.keyboard.press("Enter")
    await expect(rows).to_have_count(1)
    await expect(rows).to_contain_text(child)
    await tab_to(page, page.get_by_label("Waits for the correlation value").last)
    await page.keyboard.type("no-such-value")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("No execution matches these filters")).to_be_visible()
    await page.go_back()  # each filter is an entry of the history
    await expect(rows).to_have_count(1)
    await page.get_by_label("Created before").fill("2020-02-01T10:00")
    await expect(page).to_have_url(re.compile("until=2020-02-01T"))
    await expect(rows).to_have_count(0)
    await page.go_back()
    await page.go_back()
    await expect(page).to_have_url(re.compile(r"/$"))


UNNAMED = re.compile(
    r'- (?:button|link|textbox|combobox|searchbox|slider|spinbutton|region|listbox|img|heading)(?! ")'
)


@pytest.mark.parametrize("tab", ["tasks", "diagram", "timeline", "events", "state", "data"])
async def test_controls_of_an_execution_have_names(server: Server, page: Page, tab: str) -> None:
    id_ = await server.start(await server.deploy(FORK), wait=60)
    await page.goto(f"/executions/{id_}?tab={tab}&run=1")
    await expect(page.locator(".event, .lane, .json, [data-pointer]").first).to_be_visible()
    assert UNNAMED.findall(await page.locator("body").aria_snapshot()) == []


async def test_controls_of_other_views_have_names(server: Server, page: Page) -> None:
    workflow = await server.deploy(NESTED)
    await server.start(await server.deploy(SLEEP))
    views = ("/?parent=none", "/workflows", f"/workflows/{workflow}", f"/workflows/{workflow}?tab=start")
    for path in (*views, "/schedules", "/events?publish=1", "/dead-letters", "/system"):
        await page.goto(path)
        await expect(page.locator("main h1")).to_be_visible()
        assert UNNAMED.findall(await page.locator("body").aria_snapshot()) == [], path
