"""Schedules, events, dead letters and the system."""

import re
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from playwright.async_api import Browser, Page, expect
from tests.dashboard.conftest import SLEEP, Server, Watched, running, store_in, visitor

from unspool.eventstore.consumers import Consumer
from unspool.eventstore.opening import open_store

CRON = f"0 {(datetime.now(UTC).hour + 12) % 24} * * *"
"""A time half a day away. While the tests run, it neither comes nor goes."""

NIGHTLY = f"""\
document: {{dsl: '1.0.3', namespace: shop, name: NAME, version: '1.0.0'}}
schedule: {{cron: '{CRON}'}}
do:
  - report: {{set: {{done: true}}}}
"""


async def test_a_schedule_is_paused_and_resumed(server: Server, page: Page) -> None:
    workflow = await server.deploy(NIGHTLY)
    await page.goto("/schedules")
    row = page.locator("tbody tr", has_text=workflow)
    await expect(row).to_contain_text(f"cron {CRON}")
    await expect(row).to_contain_text(re.compile(r"in \d+ (h|min|s)"))
    await row.get_by_role("button", name="Pause").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("It starts nothing until it is resumed")
    await dialog.get_by_role("button", name="Pause").click()
    await expect(row).to_contain_text(re.compile(r"paused (now|\d+ (s|min) ago) by anonymous"))
    await row.get_by_role("button", name="Resume").click()
    await dialog.get_by_role("button", name="Resume").click()
    await expect(row).not_to_contain_text("paused")
    await page.goto(f"/workflows/{workflow}")
    await expect(page.get_by_role("region", name="Schedule")).to_contain_text(f"cron {CRON}")


async def test_events_appear_live_and_can_be_filtered(server: Server, page: Page) -> None:
    type_ = f"order.{uuid4().hex}"
    await page.goto("/events")
    await expect(page.locator(".head .live")).to_be_visible()
    for number in (1, 2):
        event = {
            "specversion": "1.0",
            "id": uuid4().hex,
            "source": f"/bank/{number}",
            "type": type_,
            "data": {"n": number},
        }
        await server.call(
            "POST", "/events", json=event, headers={"Content-Type": "application/cloudevents+json"}
        )
    rows = page.locator("tbody tr.row", has_text=type_)
    await expect(rows).to_have_count(2)
    await expect(rows.first).to_contain_text("/bank/2")
    await page.get_by_label("Type").fill(type_)
    await page.get_by_label("Source").fill("/bank/1")
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile("type=.*source="))
    await expect(page.locator("tbody tr.row")).to_have_count(1)
    await page.get_by_role("button", name=type_).click()
    await expect(page.locator("tr.details")).to_contain_text('"n": 1')


async def test_an_event_is_published(page: Page) -> None:
    type_ = f"order.{uuid4().hex}"
    await page.goto("/events")
    await page.get_by_role("button", name="Publish an event").click()
    form = page.get_by_role("form", name="Publish an event")
    await form.get_by_label("Type").fill(type_)
    await form.get_by_label("Data, as JSON").fill('{"order": 7')
    await form.get_by_role("button", name="Publish").click()
    await expect(page.get_by_role("alert")).to_contain_text("JSON")
    await form.get_by_label("Data, as JSON").fill('{"order": 7}')
    await form.get_by_role("button", name="Publish").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("button", name="Do not publish").click()
    await expect(dialog).to_have_count(0)
    await form.get_by_role("button", name="Publish").click()
    await dialog.get_by_role("button", name="Publish", exact=True).click()
    await expect(page.locator("tbody tr.row", has_text=type_)).to_contain_text('{"order":7}')


async def test_dead_letters_are_shown_requeued_and_discarded(browser: Browser, tmp_path: Path) -> None:
    async with running(tmp_path, "api") as server:
        workflow = await server.deploy(SLEEP)
        store = await open_store(store_in(tmp_path), {})
        for name in ("one", "two"):
            await server.start(workflow, id=name)
            [delivery] = await store.receive_messages(Consumer("workers", "one"), 1, 600)
            await store.move_to_dead_letters(delivery, f"ValueError: poison {name}", "Traceback <b>here</b>")
        await store.close()
        async with visitor(browser, Watched(server.url)) as page:
            await page.goto("/dead-letters")
            rows = page.locator("tr.row")
            await expect(rows).to_have_count(2)
            await page.get_by_role("button", name="ValueError: poison one").click()
            await expect(page.locator("tr.details")).to_contain_text("Traceback <b>here</b>")
            await expect(page.locator("tr.details")).to_contain_text('"execution": "one"')
            await page.get_by_role("button", name="Requeue").click()
            await page.get_by_role("dialog").get_by_role("button", name="Requeue").click()
            await expect(rows).to_have_count(1)
            await page.get_by_role("button", name="ValueError: poison two").click()
            await page.get_by_role("button", name="Discard").click()
            await expect(page.get_by_role("dialog")).to_contain_text("cannot be brought back")
            await page.get_by_role("dialog").get_by_role("button", name="Discard").click()
            await expect(page.get_by_text("No dead letters")).to_be_visible()
            assert (await server.call("GET", "/dlq"))["items"] == []


async def test_the_system_is_shown(page: Page) -> None:
    await page.goto("/system")
    await expect(page.get_by_role("region", name="Store")).to_contain_text("up")
    services = page.get_by_role("region", name="Services").locator("tbody tr")
    for service in ("worker", "executor", "timer"):
        await expect(services.filter(has_text=service).first).to_be_visible()
    await expect(page.get_by_role("region", name="Queues")).to_contain_text("inbox")
    await expect(page.get_by_text("No functions are registered")).to_be_visible()
