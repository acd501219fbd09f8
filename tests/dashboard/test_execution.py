"""The page of one execution: tasks, events, actions."""

import json
import re
from uuid import uuid4

from playwright.async_api import Page, expect
from tests.dashboard.conftest import REFUSE, SLEEP, Server, copied

FIXABLE = """\
document: {dsl: '1.0.3', namespace: shop, name: NAME, version: '1.0.0'}
do:
  - greet:
      set: {greeting: hello}
  - refuse:
      raise:
        error: {type: 'https://example.com/errors/refused', status: 409, title: Refused, detail: not today}
"""

LOOP = """\
document: {dsl: '1.0.3', namespace: shop, name: NAME, version: '1.0.0'}
do:
  - each:
      for: {in: '${ [range(700)] }', each: n}
      do:
        - count: {set: {n: '${ $n }'}}
"""


async def test_input_output_and_error_are_side_by_side(server: Server, page: Page) -> None:
    id_ = await server.start(await server.deploy(FIXABLE), input={"name": "Ada"}, wait=60)
    await page.goto(f"/executions/{id_}")
    await expect(page.locator("tr.row")).to_have_count(2)
    await page.get_by_role("button", name="refuse").click()
    details = page.locator("tr.details")
    await expect(details).to_contain_text("/do/1/refuse")
    await expect(details.get_by_role("heading")).to_have_text(["Input", "Error"])
    await expect(details).to_contain_text('"greeting": "hello"')
    await expect(details).to_contain_text('"detail": "not today"')
    await expect(page).to_have_url(re.compile("run="))
    error = await copied(page, details.get_by_role("button", name="Copy Error as JSON"))
    assert (error["status"], error["instance"]) == (409, "/do/1/refuse")


async def test_the_page_follows_the_execution_live(server: Server, page: Page) -> None:
    id_ = await server.start(await server.deploy(SLEEP), input={"name": "Ada"})
    await server.reach(id_, "waiting")
    await page.goto(f"/executions/{id_}")
    await expect(page.locator(".facts .live")).to_be_visible()
    nap = page.locator("tr.row", has_text="nap")
    await expect(nap).to_contain_text("waiting")
    await server.call("POST", f"/executions/{id_}/cancel?wait=60")
    await expect(page.locator(".head .status")).to_have_text("cancelled")
    await expect(nap).to_contain_text("cancelled")


async def test_actions_ask_and_then_act(server: Server, page: Page) -> None:
    id_ = await server.start(await server.deploy(SLEEP), input={"name": "Ada"})
    await server.reach(id_, "waiting")
    await page.goto(f"/executions/{id_}")
    await page.get_by_role("button", name="Cancel").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("effects that they had are not undone")
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)
    assert (await server.call("GET", f"/executions/{id_}"))["status"] == "waiting"

    status = page.locator(".head .status")
    await page.get_by_role("button", name="Suspend").click()
    await dialog.get_by_label("Reason").fill("the bank is closed")
    await page.keyboard.press("Enter")
    await expect(status).to_have_text("suspended")
    events = (await server.call("GET", f"/executions/{id_}/events"))["items"]
    assert "the bank is closed" in json.dumps(events[-1]["data"])
    for action, after in (("Resume", "waiting"), ("Cancel", "cancelled")):
        await page.get_by_role("button", name=action, exact=True).click()
        await dialog.get_by_role("button", name=action, exact=True).click()
        await expect(status).to_have_text(after)
        await server.reach(id_, after)
    await expect(page.get_by_role("button", name="Cancel")).to_have_count(0)


async def test_a_faulted_execution_is_retried_and_followed_again(server: Server, page: Page) -> None:
    id_ = await server.start(await server.deploy(REFUSE), wait=60)
    await page.goto(f"/executions/{id_}")
    await expect(page.locator("tr.row")).to_have_count(1)
    await page.get_by_role("button", name="Retry").click()
    await page.get_by_role("dialog").get_by_role("button", name="Retry").click()
    await expect(page.locator("tr.row")).to_have_count(2)
    await expect(page.locator(".head .status")).to_have_text("faulted")


async def test_long_histories_have_few_elements(server: Server, page: Page) -> None:
    id_ = await server.start(await server.deploy(LOOP), wait=60)
    await page.goto(f"/executions/{id_}?tab=events")
    await expect(page.locator(".event[aria-selected=true]")).to_contain_text("workflow.completed")
    assert await page.locator(".event").count() < 80
    await page.get_by_role("listbox").focus()
    await page.keyboard.press("Home")
    await expect(page).to_have_url(re.compile(r"at=1\b"))
    await expect(page.get_by_role("heading", name="Event 1: workflow.started")).to_be_visible()
    await page.keyboard.press("ArrowDown")
    await expect(page.locator(".event[aria-selected=true]")).to_contain_text("task.created")


async def test_large_values_are_folded(server: Server, page: Page) -> None:
    text, many = "x" * 5000, list(range(400))
    id_ = await server.start(await server.deploy(SLEEP), input={"name": "Ada", "text": text, "many": many})
    await page.goto(f"/executions/{id_}?tab=data")
    card = page.locator("section", has=page.get_by_role("heading", name="Input"))
    await expect(card.get_by_role("button", name="400 items")).to_be_visible()
    await expect(card.get_by_role("button", name="all 5,000 characters")).to_be_visible()
    assert len(await card.inner_text()) < 1000
    await card.get_by_role("button", name="all 5,000 characters").click()
    await expect(card).to_contain_text(text)


async def test_an_unknown_execution_says_so(page: Page, watched) -> None:
    watched.allowed = ("404",)
    await page.goto("/executions/nothing")
    await expect(page.get_by_text("There is no such execution")).to_be_visible()


async def test_other_paths_of_the_page_say_so(server: Server, page: Page) -> None:
    id_ = await server.start(await server.deploy(SLEEP))
    await page.goto("/")
    await page.get_by_role("link", name=id_).click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(id_)
    await expect(page.locator("main")).to_be_focused()


LISTEN = """\
document: {dsl: '1.0.3', namespace: shop, name: NAME, version: '1.0.0'}
do:
  - pay:
      listen:
        to:
          one:
            with: {type: TYPE}
            correlate: {order: {from: .data.order, expect: A-1}}
"""


async def test_why_it_waits_is_said_with_events_that_came_near(server: Server, page: Page) -> None:
    type_ = f"paid.{uuid4().hex}"
    id_ = await server.start(await server.deploy(LISTEN.replace("TYPE", type_)))
    await server.reach(id_, "waiting")
    event = {"specversion": "1.0", "id": "e1", "source": f"/{type_}", "type": type_, "data": {"order": "A-2"}}
    await server.call("POST", "/events", json=event)
    await page.goto(f"/executions/{id_}")
    why = page.get_by_role("region", name="Why it waits")
    await expect(why).to_contain_text(f"waits for an event of type {type_}")
    await expect(why).to_contain_text("A-2")
    await why.get_by_text("Facts").click()
    await expect(why.get_by_role("heading", name="Events that came near")).to_be_visible()
    await server.call("POST", "/events", json={**event, "id": "e2", "data": {"order": "A-1"}})
    await expect(page.locator(".head .status")).to_have_text("completed")
    await expect(why).to_have_count(0)


FORK = """\
document: {dsl: '1.0.3', namespace: shop, name: NAME, version: '1.0.0'}
do:
  - both:
      fork:
        branches:
          - pack:
              do:
                - box: {wait: {milliseconds: 40}}
                - label: {set: {n: 1}}
          - notify:
              do:
                - mail: {wait: {milliseconds: 20}}
"""


async def test_branches_are_lanes_with_their_tasks_below_them(server: Server, page: Page) -> None:
    id_ = await server.start(await server.deploy(FORK), wait=60)
    await page.goto(f"/executions/{id_}?tab=timeline")
    names = page.locator(".lane-name")
    await expect(names).to_have_text(["both", "1pack", "1box", "1label", "2notify", "2mail"])
    await expect(names.nth(4).get_by_title("Branch 2")).to_be_visible()


async def test_tasks_are_a_tree(server: Server, page: Page) -> None:
    id_ = await server.start(await server.deploy(FORK), wait=60)
    await page.goto(f"/executions/{id_}")
    await expect(page.locator("tr.row .fold")).to_have_text(
        ["both", "pack", "box", "label", "notify", "mail"]
    )


async def test_a_link_to_a_late_task_shows_it(server: Server, page: Page) -> None:
    id_ = await server.start(await server.deploy(LOOP), wait=60)
    await page.goto(f"/executions/{id_}?run=601")
    await expect(page.locator("tr.details")).to_contain_text("count run 601")
    await expect(page.get_by_role("button", name="100 more tasks")).to_be_visible()


async def test_the_error_leads_to_its_task(server: Server, page: Page) -> None:
    id_ = await server.start(await server.deploy(FIXABLE), wait=60)
    await page.goto(f"/executions/{id_}?tab=data")
    error = page.get_by_role("region", name="Error")
    await expect(error).to_contain_text("Refused 409")
    await expect(error).to_contain_text("not today")
    await error.get_by_role("link", name="/do/1/refuse").click()
    await expect(page.locator("tr.details")).to_contain_text("/do/1/refuse")
