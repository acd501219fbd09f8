"""Time travel: the slider over the events, and what follows it."""

import re

import pytest_asyncio
from playwright.async_api import Page, expect
from tests.dashboard.conftest import Server

STEPS = """\
document: {dsl: '1.0.3', namespace: shop, name: NAME, version: '1.0.0'}
do:
  - first:
      set: {step: 1}
      export: {as: '{ seen: 1 }'}
  - pause:
      wait: {milliseconds: 20}
  - second:
      set: {step: 2}
      export: {as: '{ seen: 2 }'}
"""


@pytest_asyncio.fixture(loop_scope="session")
async def id_(server: Server) -> str:
    """An execution that has ended; events 1 to 4 are those of the start and of `first`."""
    return await server.start(await server.deploy(STEPS), wait=60)


async def test_the_slider_moves_everything(page: Page, id_: str) -> None:
    await page.goto(f"/executions/{id_}")
    tasks = page.locator("tr.row")
    await expect(tasks).to_have_count(3)
    slider = page.get_by_role("slider", name="Event")
    last = int(await slider.get_attribute("max") or 0)
    await expect(slider).to_have_value(str(last))
    await slider.focus()
    await page.keyboard.press("Home")
    await expect(page).to_have_url(re.compile(r"at=1$"))
    await expect(page.get_by_text("No task has begun yet")).to_be_visible()
    for _ in range(3):
        await page.keyboard.press("ArrowRight")
    await expect(page).to_have_url(re.compile(r"at=4$"))
    await expect(tasks).to_have_count(1)
    await expect(tasks).to_contain_text("completed")
    await expect(page.get_by_text("The execution was")).to_contain_text("running")
    await page.get_by_role("button", name="Event before").click()
    await expect(tasks).to_contain_text("running")
    await page.get_by_role("button", name="End").click()
    await expect(page).to_have_url(re.compile(rf"/{id_}$"))
    await expect(tasks).to_have_count(3)


async def test_state_and_changes_follow(page: Page, id_: str) -> None:
    await page.goto(f"/executions/{id_}?tab=state&at=4")
    changed = page.get_by_role("region", name="What changed")
    await expect(changed).to_contain_text("context")
    await expect(changed).to_contain_text('{"seen":1}')
    await page.get_by_label("Compare with event").fill("0")
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile("since=0"))
    await expect(changed).to_contain_text("status")
    await page.get_by_role("slider", name="Event").focus()
    await page.keyboard.press("End")
    await expect(changed).to_contain_text('{"seen":2}')
    await expect(changed).to_contain_text("completed")
    await expect(page.locator("section", has=page.get_by_role("heading", name="Output"))).to_contain_text(
        '"step": 2'
    )


async def test_the_timeline_has_a_bar_a_task_and_follows(page: Page, id_: str) -> None:
    await page.goto(f"/executions/{id_}?tab=timeline")
    lanes = page.get_by_role("region", name="Timeline").get_by_role("listitem")
    await expect(lanes).to_have_count(3)
    await expect(lanes.nth(1).locator(".bar.hatched")).to_have_count(1)
    await page.get_by_role("slider", name="Event").focus()
    await page.keyboard.press("Home")
    await page.keyboard.press("ArrowRight")
    await expect(lanes).to_have_count(1)
    await lanes.get_by_role("link", name="first").click()
    await expect(page.locator("tr.details")).to_contain_text("/do/0/first")


async def test_a_link_to_an_event_shows_that_event(page: Page, id_: str) -> None:
    await page.goto(f"/executions/{id_}?at=2&tab=events")
    await expect(page.get_by_role("heading", name="Event 2: task.created")).to_be_visible()
    await page.locator(".event", has_text="task.completed").first.click()
    await expect(page.get_by_role("slider", name="Event")).to_have_value("4")


PARENT = """\
document: {dsl: '1.0.3', namespace: shop, name: NAME, version: '1.0.0'}
do:
  - sub:
      run: {workflow: {namespace: shop, name: CHILD, version: '1.0.0'}}
"""


async def test_the_diagram_follows_and_its_tasks_lead_to_their_runs(page: Page, id_: str) -> None:
    await page.goto(f"/executions/{id_}?tab=diagram&at=4")
    diagram = page.get_by_role("region", name="Diagram")
    first, second = (diagram.locator(f"[data-pointer='/do/{task}']") for task in ("0/first", "2/second"))
    await expect(first).to_have_class(re.compile("is-completed"))
    await expect(second).not_to_have_class(re.compile("is-completed"))
    await page.get_by_role("slider", name="Event").focus()
    await page.keyboard.press("End")
    await expect(second).to_have_class(re.compile("is-completed"))
    await second.focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("tr.details")).to_contain_text("/do/2/second")


async def test_a_sub_workflow_unfolds_in_the_timeline(server: Server, page: Page) -> None:
    child = await server.deploy(STEPS)
    parent = await server.deploy(PARENT.replace("CHILD", child.partition("/")[2]))
    id_ = await server.start(parent, wait=60)
    await page.goto(f"/executions/{id_}?tab=timeline")
    lanes = page.get_by_role("region", name="Timeline").get_by_role("listitem")
    await expect(lanes).to_have_count(1)
    await page.get_by_role("button", name="Sub-workflow of sub").click()
    await expect(lanes).to_have_count(5)
    await expect(lanes.nth(2)).to_contain_text("first")
