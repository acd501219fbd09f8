"""Published events: what came, who accepted it, and who nearly did."""

import re
from typing import Any
from uuid import uuid4

from playwright.async_api import Page, expect
from tests.dashboard.conftest import Server

LISTEN = """\
document: {dsl: '1.0.3', namespace: shop, name: NAME, version: '1.0.0'}
do:
  - pay:
      listen:
        to:
          one:
            with: {type: TYPE}
            correlate: {order: {from: .data.order, expect: '${ .order }'}}
"""


def paid(type_: str, order: str) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": uuid4().hex,
        "source": "/bank",
        "subject": order,
        "type": type_,
        "data": {"order": order},
    }


async def listeners(server: Server, type_: str, *orders: str) -> list[str]:
    workflow = await server.deploy(LISTEN.replace("TYPE", type_))
    ids = [await server.start(workflow, input={"order": order}) for order in orders]
    for id_ in ids:
        await server.reach(id_, "waiting")
    return ids


async def test_an_event_tells_who_accepted_it_and_who_nearly_did(server: Server, page: Page) -> None:
    type_ = f"paid.{uuid4().hex}"
    first, second = await listeners(server, type_, "A-1", "A-2")
    await server.call("POST", "/events", json=paid(type_, "A-1"))
    await server.reach(first, "completed")
    await page.goto(f"/events?type={type_}")
    await page.get_by_role("button", name=type_).click()
    await expect(page.get_by_role("region", name="Accepted by", exact=True).get_by_role("link")).to_have_text(
        [first]
    )
    near = page.get_by_role("region", name="Nearly accepted by")
    await expect(near.get_by_role("link")).to_have_text([second])
    await expect(near).to_contain_text('to be "A-2", the event has "A-1"')
    await near.get_by_role("link", name=second).click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(second)


async def test_an_event_without_time_shows_when_it_was_published(server: Server, page: Page) -> None:
    type_ = f"timeless.{uuid4().hex}"
    await server.call("POST", "/events", json=paid(type_, "A-1"))
    await page.goto(f"/events?type={type_}")
    row = page.get_by_role("row").filter(has_text=type_)
    await expect(row.locator("time")).to_have_text(re.compile(r"now|ago"))


async def test_an_event_without_listeners_says_so(server: Server, page: Page) -> None:
    type_ = f"lost.{uuid4().hex}"
    await server.call("POST", "/events", json=paid(type_, "A-1"))
    await page.goto(f"/events?type={type_}")
    await page.get_by_role("button", name=type_).click()
    await expect(page.get_by_text("No execution has accepted it.")).to_be_visible()
    await expect(page.get_by_text("No task that listens now came near.")).to_be_visible()
    await page.reload()  # the open event is in the address
    await expect(page.get_by_text("No execution has accepted it.")).to_be_visible()


async def test_executions_are_found_by_the_value_that_they_wait_for(server: Server, page: Page) -> None:
    type_, order = f"paid.{uuid4().hex}", f"B-{uuid4().hex}"
    wanted, _other = await listeners(server, type_, order, f"C-{uuid4().hex}")
    await page.goto("/")
    await page.get_by_role("button", name="More filters").click()
    await page.get_by_label("Waits for the correlation value").last.fill(order)
    await page.keyboard.press("Enter")
    await expect(page.locator("tbody tr")).to_have_count(1)
    await expect(page.locator("tbody tr").get_by_role("link").first).to_have_text(wanted)
    found = await server.call("GET", f"/executions?correlation={order}&status=completed")
    assert found == {"items": [], "next": None}
    assert (await server.call("GET", f"/executions?correlation={type_}"))["items"] == []
