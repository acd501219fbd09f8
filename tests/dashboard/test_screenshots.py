"""The pictures of docs/images: every view with the examples on it. `make screenshots` writes them.

Without `UNSPOOL_SCREENSHOTS` the pages are shown and checked, and no file is written.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect
from tests.dashboard.conftest import SLEEP, Server, Watched, running, store_in, visitor
from tests.dashboard.test_events import LISTEN

from unspool.eventstore.consumers import Consumer
from unspool.eventstore.opening import open_store

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs/images"

ORDERS = ("order-fulfilment", "human-approval", "parallel-fan-out", "nightly-report", "hello")

VIEWS = {
    "executions": ("/", "table"),
    "execution": ("/executions/order-1004?tab=diagram&at=14", ".diagram .is-faulted"),
    "tasks": ("/executions/order-1001?run=2", "tr.details .json"),
    "timeline": ("/executions/order-1001?tab=timeline", ".lane"),
    "events": ("/executions/order-1001?tab=events&at=13", ".event"),
    "state": ("/executions/order-1004?tab=state&at=14", ".changes"),
    "workflow": ("/workflows/examples/order-fulfilment", ".figures"),
    "diagram": ("/workflows/examples/order-fulfilment?tab=diagram", ".diagram [data-pointer]"),
    "source": ("/workflows/examples/order-fulfilment?tab=source", ".lines"),
    "start": ("/workflows/examples/order-fulfilment?tab=start", "form.start"),
    "schedules": ("/schedules", "table"),
    "workflows": ("/workflows", "table"),
    "data": ("/executions/order-1001?tab=data", ".json"),
    "published": ("/events", "table"),
    "system": ("/system", "section"),
}
"""By picture: the path, and what must be on the page."""


def sample_service() -> Any:
    sys.path.insert(0, str(ROOT / "examples"))
    try:
        import sample_service as module
    finally:
        sys.path.pop(0)
    return module


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shown(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """A server on which the examples have run."""
    examples = sample_service()
    shop = examples.Shop(outage=0)
    async with examples.running_shop(shop) as address, running(tmp_path_factory.mktemp("shown")) as server:
        for name in ORDERS:
            await server.deploy((ROOT / f"examples/{name}.yaml").read_text())
        for number, card in enumerate(("good", "good", "good", examples.REFUSED_CARD), 1001):
            order = {"service": address, "order": f"A-{number}", "sku": "lamp", "quantity": 1, "amount": 64.5}
            body = {"input": order | {"card": card}, "tags": {"order": f"A-{number}"}}
            await server.start("examples/order-fulfilment", id=f"order-{number}", wait=60, **body)
        question = {"service": address, "question": "May I?", "remindEvery": "PT1H"}
        waiting = await server.start("examples/human-approval", id="approval-7", input=question)
        await server.start("examples/hello", id="greeting-1", input={"name": "Ada"}, wait=60)
        await server.start("examples/order-fulfilment", id="order-1005", input={"order": "A-1005"}, wait=60)
        payments = await server.deploy(LISTEN.replace("TYPE", "payment.received"), "payments")
        for order in ("A-1", "A-2"):
            await server.start(payments, id=f"payment-{order}", input={"order": order})
            await server.reach(f"payment-{order}", "waiting")
        event = {
            "specversion": "1.0",
            "id": "1",
            "source": "/bank",
            "type": "payment.received",
            "data": {"order": "A-1"},
        }
        await server.call("POST", "/events", json=event)
        await server.reach("payment-A-1", "completed")
        await server.reach(waiting, "waiting")
        yield server


async def picture(page: Page, name: str) -> None:
    taken = await page.screenshot(animations="disabled")
    assert len(taken) > 5000
    if os.environ.get("UNSPOOL_SCREENSHOTS"):
        await asyncio.to_thread((IMAGES / f"dashboard-{name}.png").write_bytes, taken)


@pytest.mark.parametrize("view", VIEWS)
async def test_every_view_has_a_picture(browser: Browser, shown: Server, view: str) -> None:
    path, present = VIEWS[view]
    async with visitor(browser, Watched(shown.url)) as page:
        await page.goto(path)
        await expect(page.locator(present).first).to_be_visible()
        await picture(page, view)


async def test_a_picture_of_who_accepted_an_event(browser: Browser, shown: Server) -> None:
    async with visitor(browser, Watched(shown.url)) as page:
        await page.goto("/events?type=payment.received")
        await page.locator(".fold-row").click()
        await expect(page.locator(".receivers .refusal")).to_be_visible()
        await picture(page, "receivers")


async def test_a_picture_of_dead_letters(browser: Browser, tmp_path: Path) -> None:
    async with running(tmp_path, "api") as server:
        store = await open_store(store_in(tmp_path), {})
        await server.start(await server.deploy(SLEEP, "greet"), id="greeting-2")
        [delivery] = await store.receive_messages(Consumer("workers", "one"), 1, 600)
        await store.move_to_dead_letters(
            delivery, "ValueError: a defect", "Traceback (most recent call last): …"
        )
        await store.close()
        async with visitor(browser, Watched(server.url)) as page:
            await page.goto("/dead-letters")
            await page.locator(".fold-row").click()
            await expect(page.locator("tr.details .traceback")).to_be_visible()
            await picture(page, "letters")


async def test_a_picture_of_the_login(browser: Browser, shown: Server) -> None:
    async with visitor(browser, Watched(shown.url, allowed=("401",))) as page:
        issuer = {"path": "/api/v1/session/login", "name": "login.example.com"}
        problem = {"status": 401, "detail": "there is no credential", "login": issuer}
        await page.route("**/api/v1/**", lambda route: route.fulfill(status=401, json=problem))
        await page.goto("/")
        await expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        await picture(page, "login")


async def test_pictures_of_other_screens(browser: Browser, shown: Server) -> None:
    async with visitor(browser, Watched(shown.url), color_scheme="dark") as page:
        await page.goto("/executions/approval-7?tab=diagram")
        await expect(page.locator(".diagram .is-waiting").first).to_be_visible()
        await picture(page, "dark")
        await page.set_viewport_size({"width": 390, "height": 800})
        await page.goto("/")
        await expect(page.locator("tbody tr").first).to_be_visible()
        await picture(page, "phone")
