"""Workflows: the list, one workflow, its source, its figures and the form that starts it."""

import re

from playwright.async_api import Page, expect
from tests.dashboard.conftest import REFUSE, SLEEP, Server, becomes

FORM = """\
document: {dsl: '1.0.3', namespace: shop, name: NAME, version: '1.0.0', summary: Takes an order.}
input:
  schema:
    document:
      type: object
      required: [order, quantity]
      properties:
        order: {type: string, description: Number of the order.}
        quantity: {type: integer, minimum: 1, default: 2}
        size: {enum: [small, large]}
        gift: {type: boolean}
        lines: {type: array}
do:
  - take: {set: {taken: '${ .order }'}}
"""

ODD = """\
document: {dsl: '1.0.3', namespace: shop, name: NAME, version: '1.0.0'}
do:
  - charge:
      call: no-such-function
      with: {amount: 1}
"""

WIDE = """\
document: {dsl: '1.0.3', namespace: shop, name: NAME, version: '1.0.0'}
do:
  - all:
      fork:
        branches:
"""


async def test_workflows_are_listed_and_found_by_name(server: Server, page: Page) -> None:
    workflow = await server.deploy(FORM)
    await server.deploy(FORM.replace("'1.0.0'", "'1.10.0'"), workflow.partition("/")[2])
    await page.goto("/workflows")
    await page.get_by_label("Filter by name").fill(workflow)
    await expect(page).to_have_url(re.compile("name=shop%2F"))
    row = page.locator("tbody tr")
    await expect(row).to_have_count(1)
    await expect(row).to_contain_text("1.10.0")
    await expect(row).to_contain_text("2 versions")
    await row.get_by_role("link").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(workflow.partition("/")[2])
    await page.get_by_label("Version").select_option("1.0.0")
    await expect(page).to_have_url(re.compile(f"/workflows/{workflow}/1.0.0"))


async def test_the_form_has_a_field_a_property(server: Server, page: Page) -> None:
    workflow = await server.deploy(FORM)
    await page.goto(f"/workflows/{workflow}")
    await page.get_by_role("link", name="Start an execution").click()
    await expect(page.get_by_text("Number of the order.")).to_be_visible()
    await page.get_by_label("order").fill("A-1")
    await expect(page.get_by_label("quantity")).to_have_value("2")
    await page.get_by_label("size").select_option("large")
    await page.get_by_label("gift").select_option("yes")
    await page.get_by_label("lines").fill("[1, 2]")
    await page.get_by_role("button", name="Start", exact=True).click()
    await expect(page).to_have_url(re.compile("/executions/"))
    id_ = page.url.rpartition("/")[2]
    execution = await server.reach(id_, "completed")
    assert execution["input"] == {
        "order": "A-1",
        "quantity": 2,
        "size": "large",
        "gift": True,
        "lines": [1, 2],
    }


async def test_the_form_can_be_json_and_shows_what_is_wrong(server: Server, page: Page, watched) -> None:
    watched.allowed = ("409",)
    workflow = await server.deploy(FORM)
    await server.start(workflow, id=f"taken-{workflow[5:]}", input={"order": "A-1", "quantity": 1})
    await page.goto(f"/workflows/{workflow}?tab=start")
    await page.get_by_label("order").fill("A-2")
    await page.get_by_role("button", name="JSON").click()
    text = page.get_by_label("Input, as JSON")
    await expect(text).to_have_value(re.compile('"order": "A-2"'))
    await text.fill("{")
    await page.get_by_role("button", name="Start", exact=True).click()
    await expect(page.get_by_role("alert")).to_contain_text("JSON")
    await text.fill('{"order": "A-3", "quantity": 1}')
    await page.get_by_label("Id").fill(f"taken-{workflow[5:]}")
    await page.get_by_role("button", name="Start", exact=True).click()
    await expect(page.get_by_role("alert")).to_contain_text("another input")


async def test_a_workflow_without_a_schema_is_started_with_json(server: Server, page: Page) -> None:
    workflow = await server.deploy(SLEEP)
    await page.goto(f"/workflows/{workflow}?tab=start")
    await page.get_by_label("Input, as JSON").fill('{"name": "Ada"}')
    await page.get_by_role("button", name="Start", exact=True).click()
    await expect(page.locator("tr.row", has_text="first")).to_contain_text("Hello Ada")


async def test_the_source_has_line_numbers_and_findings(server: Server, page: Page) -> None:
    workflow = await server.deploy(ODD)
    await page.goto(f"/workflows/{workflow}?tab=source")
    lines = page.locator(".lines li")
    await expect(lines).to_have_count(5)
    await expect(page.get_by_text("1 finding")).to_be_visible()
    await expect(lines.nth(3)).to_have_class(re.compile("warning"))
    await page.get_by_role("link", name="Line 4").click()
    await expect(page).to_have_url(re.compile("#line-4$"))
    await expect(lines.nth(3)).to_be_in_viewport()


async def test_figures_count_recent_executions(server: Server, page: Page) -> None:
    workflow = await server.deploy(FORM)
    for number in range(3):
        await server.start(workflow, input={"order": str(number), "quantity": 1}, wait=60)
    await server.start(workflow, input={}, wait=60)  # does not match the schema
    await page.goto(f"/workflows/{workflow}")
    figures = page.get_by_role("region", name="Figures")
    await expect(figures).to_contain_text("75 %")
    await expect(figures).to_contain_text(re.compile(r"Duration, median\s*[\d.]+ m?s"))
    await expect(page.get_by_role("region", name="Recent executions").locator("tbody tr")).to_have_count(4)
    await page.get_by_role("button", name="Last day").click()
    await expect(figures).to_contain_text(
        "Of all executions of the last day that completed or faulted: 3 successes"
    )
    await expect(page).to_have_url(re.compile("since=24h"))
    refusing = await server.deploy(REFUSE)
    await page.goto(f"/workflows/{refusing}")
    await expect(page.get_by_text("It was not started yet")).to_be_visible()


async def test_an_unknown_workflow_says_so(page: Page, watched) -> None:
    watched.allowed = ("404",)
    await page.goto("/workflows/no/such")
    await expect(page.get_by_text("There is no such workflow or version")).to_be_visible()


async def test_the_diagram_has_an_element_a_task(server: Server, page: Page) -> None:
    workflow = await server.deploy(SLEEP)
    await page.goto(f"/workflows/{workflow}?tab=diagram")
    diagram = page.get_by_role("region", name="Diagram")
    await expect(diagram.locator("[data-pointer='/do/0/first']")).to_be_visible()
    await expect(diagram.locator("[data-pointer='/do/1/nap']")).to_be_visible()


async def test_a_wide_diagram_can_be_read_and_shown_as_a_whole(server: Server, page: Page) -> None:
    branches = "".join(f"          - b{number}: {{set: {{n: {number}}}}}\n" for number in range(16))
    workflow = await server.deploy(WIDE + branches)
    await page.goto(f"/workflows/{workflow}?tab=diagram")
    diagram = page.get_by_role("region", name="Diagram")
    scale = "svg => svg.getBoundingClientRect().width / svg.viewBox.baseVal.width"
    await becomes(diagram, "box => box.scrollWidth > box.clientWidth && box.scrollLeft > 0")
    assert await diagram.locator("svg").evaluate(scale) >= 0.69
    await page.get_by_role("button", name="Whole diagram").click()
    await becomes(diagram, "box => box.scrollWidth <= box.clientWidth")


async def test_an_answer_that_is_no_diagram_is_refused(server: Server, page: Page, watched) -> None:
    watched.allowed = ("inline event handler",)  # the browser refuses it before the check does
    workflow = await server.deploy(SLEEP)
    link = '<a href="javascript:alert(1)"><text onclick="alert(2)">here</text></a>'
    hostile = f'<svg xmlns="http://www.w3.org/2000/svg">{link}</svg>'
    await page.route("**/diagram?*", lambda route: route.fulfill(body=hostile, content_type="image/svg+xml"))
    await page.goto(f"/workflows/{workflow}?tab=diagram")
    await expect(page.get_by_role("alert")).to_contain_text("not a diagram")
    await expect(page.get_by_text("here")).to_have_count(0)
