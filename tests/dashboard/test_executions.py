"""The list of executions."""

import re

from playwright.async_api import Page, expect
from tests.dashboard.conftest import REFUSE, SLEEP, Server


async def test_the_list_shows_executions_and_new_ones_live(server: Server, page: Page) -> None:
    workflow = await server.deploy(SLEEP)
    first = await server.start(workflow, input={"name": "Ada"})
    await server.reach(first, "waiting")
    await page.goto(f"/?workflow={workflow}")
    rows = page.locator("tbody tr")
    await expect(rows).to_have_count(1)
    await expect(rows.first).to_contain_text(first)
    await expect(rows.first).to_contain_text("waiting")
    await expect(rows.first).to_contain_text(re.compile(r"now|ago"))
    second = await server.start(workflow, input={"name": "Grace"})
    await expect(rows).to_have_count(2)
    await expect(rows.first).to_contain_text(second)


async def test_a_status_changes_live_without_a_new_row(server: Server, page: Page) -> None:
    workflow = await server.deploy(SLEEP)
    id_ = await server.start(workflow)
    await server.reach(id_, "waiting")
    await page.goto(f"/?workflow={workflow}")
    row = page.locator("tbody tr")
    await expect(row).to_contain_text("waiting")
    await row.evaluate("row => { row.dataset.seen = 'yes' }")
    await server.call("POST", f"/executions/{id_}/cancel?wait=60")
    await expect(row).to_contain_text("cancelled")
    await expect(row).to_have_attribute("data-seen", "yes")


async def test_filters_are_in_the_address(server: Server, page: Page) -> None:
    workflow = await server.deploy(SLEEP)
    refusing = await server.deploy(REFUSE)
    await server.start(workflow)
    faulted = await server.start(refusing, wait=60)
    await page.goto("/")
    await page.get_by_label("Workflow", exact=True).select_option(refusing)
    await expect(page).to_have_url(re.compile("workflow=shop%2F"))
    await expect(page.locator("tbody tr")).to_have_count(1)
    await expect(page.locator("tbody tr")).to_contain_text("Refused: not today")
    await page.get_by_role("button", name="completed").click()
    await expect(page).to_have_url(re.compile("status=completed"))
    await expect(page.get_by_text("No execution matches these filters")).to_be_visible()
    await page.get_by_role("button", name="faulted").click()
    await expect(page.get_by_role("link", name=faulted)).to_be_visible()
    await page.reload()
    await expect(page.get_by_role("button", name="faulted")).to_have_attribute("aria-pressed", "true")
    await expect(page.locator("tbody tr")).to_have_count(1)


async def test_pages_follow_one_another(server: Server, page: Page) -> None:
    workflow = await server.deploy(REFUSE)
    for number in range(53):
        await server.start(workflow, id=f"{workflow.partition('/')[2]}-{number}")
    await page.goto(f"/?workflow={workflow}")
    await expect(page.locator("tbody tr")).to_have_count(50)
    await page.get_by_role("link", name="Older").click()
    await expect(page.locator("tbody tr")).to_have_count(3)
    await expect(page.get_by_role("link", name=re.compile("-0$"))).to_be_visible()
    await page.go_back()
    await expect(page.locator("tbody tr")).to_have_count(50)


async def test_an_execution_is_found_by_id_or_its_beginning(server: Server, page: Page) -> None:
    workflow = await server.deploy(SLEEP)
    name = workflow.partition("/")[2]
    id_ = await server.start(workflow, id=f"{name}-1")
    await server.start(workflow, id=f"{name}-2")
    await page.goto("/")
    await page.get_by_label("Id of an execution").fill("no-such-id")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("No execution matches these filters")).to_be_visible()
    await page.get_by_role("button", name="Remove the filter id").click()
    await page.get_by_label("Id of an execution").fill(name)
    await page.keyboard.press("Enter")
    await expect(page.locator("tbody tr")).to_have_count(2)
    await page.get_by_label("Id of an execution").fill(id_)
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(re.compile(f"/executions/{id_}$"))
    await expect(page.get_by_role("heading", level=1)).to_have_text(id_)


async def test_tags_and_times_are_filters(server: Server, page: Page) -> None:
    workflow = await server.deploy(SLEEP)
    name = workflow.partition("/")[2]
    await server.start(workflow, id=f"{name}-1", tags={"order": name, "region": "eu"})
    await server.start(workflow, id=f"{name}-2", tags={"order": name, "region": "us"})
    await page.goto("/")
    await page.get_by_label("Tag").fill(f"order:{name} region:eu")
    await page.keyboard.press("Enter")
    await expect(page.locator("tbody tr")).to_have_count(1)
    await expect(page.locator("tbody tr")).to_contain_text(f"{name}-1")
    await page.get_by_role("link", name=f"order:{name}").click()
    await expect(page.locator("tbody tr")).to_have_count(2)
    await page.get_by_label("Created").select_option("Last hour")
    await expect(page).to_have_url(re.compile("since=1h"))
    await expect(page.locator("tbody tr")).to_have_count(2)
    await page.goto(f"/executions/{name}-1")
    await expect(page.locator(".facts")).to_contain_text("region:eu")


async def test_statuses_show_how_many_there_are(server: Server, page: Page) -> None:
    await server.reach(await server.start(await server.deploy(SLEEP)), "waiting")
    await page.goto("/")
    await expect(page.get_by_role("button", name=re.compile(r"^waiting \d+$"))).to_be_visible()
