"""The form that starts an execution: nested schemas, alternatives, tags, and what is wrong at its field."""

import re

from playwright.async_api import Page, expect
from tests.dashboard.conftest import SLEEP, Server

NESTED = """\
document: {dsl: '1.0.3', namespace: shop, name: NAME, version: '1.0.0'}
input:
  schema:
    document:
      $defs:
        money: {type: number, minimum: 0, description: In euros.}
      type: object
      required: [customer, lines]
      properties:
        customer:
          type: object
          title: The customer
          required: [name, mail]
          properties:
            name: {type: string, minLength: 3}
            mail: {type: string, pattern: '@'}
            level: {enum: [basic, gold], default: gold}
        lines:
          type: array
          minItems: 1
          items:
            type: object
            required: [sku]
            properties:
              sku: {type: string}
              price: {$ref: '#/$defs/money'}
        delivery:
          oneOf:
            - title: By post
              type: object
              required: [street]
              properties: {street: {type: string}}
            - title: At a shop
              type: object
              required: [shop]
              properties: {shop: {type: integer}}
        extra: {}
do:
  - take: {set: {taken: '${ .customer.name }'}}
"""


async def test_nested_fields_alternatives_and_tags(server: Server, page: Page) -> None:
    workflow = await server.deploy(NESTED)
    await page.goto(f"/workflows/{workflow}?tab=start")
    customer = page.get_by_role("group", name="The customer")
    await customer.get_by_label("name").fill("Ada Lovelace")
    await customer.get_by_label("mail").fill("ada@example.com")
    await expect(customer.get_by_label("level")).to_have_value('"gold"')
    add = page.get_by_role("button", name="Add to lines")
    await add.click()
    await add.click()
    await page.get_by_label("sku").nth(0).fill("lamp")
    await expect(page.get_by_text("In euros.").first).to_be_visible()
    await page.get_by_label("price").nth(0).fill("9.5")
    await page.get_by_role("button", name="Remove lines 2").click()
    await expect(page.get_by_label("sku")).to_have_count(1)
    await page.get_by_label("Form of delivery").select_option("At a shop")
    await page.get_by_label("shop").fill("7")
    await page.get_by_label("extra").fill('{"any": [1]}')
    await page.get_by_role("button", name="Add a tag").click()
    await page.get_by_label("Name of tag 1").fill("customer")
    await page.get_by_label("Value of tag 1").fill("Ada L.")
    await page.get_by_role("button", name="Start", exact=True).click()
    await expect(page).to_have_url(re.compile("/executions/"))
    execution = await server.reach(page.url.rpartition("/")[2], "completed")
    assert execution["input"] == {
        "customer": {"name": "Ada Lovelace", "mail": "ada@example.com", "level": "gold"},
        "lines": [{"sku": "lamp", "price": 9.5}],
        "delivery": {"shop": 7},
        "extra": {"any": [1]},
    }
    assert execution["tags"] == {"customer": "Ada L."}


async def test_what_is_wrong_is_said_at_its_field(server: Server, page: Page) -> None:
    workflow = await server.deploy(NESTED)
    await page.goto(f"/workflows/{workflow}?tab=start")
    customer = page.get_by_role("group", name="The customer")
    await customer.get_by_label("name").fill("Al")
    await customer.get_by_label("mail").fill("nobody")
    await page.get_by_label("extra").fill("{")
    start = page.get_by_role("button", name="Start", exact=True)
    await start.click()
    await expect(page.get_by_label("extra")).to_have_attribute("aria-invalid", "true")
    await expect(page.get_by_label("extra")).to_have_accessible_description("This is not valid JSON.")
    await page.get_by_label("extra").fill("")
    await start.click()
    await expect(customer.get_by_label("name")).to_have_accessible_description(re.compile("shorter than 3"))
    await expect(customer.get_by_label("mail")).to_have_accessible_description(re.compile("does not match"))
    await expect(page.get_by_role("group", name="lines")).to_contain_text("less than 1 item")
    assert (await server.call("GET", f"/executions?workflow={workflow}"))["items"] == []


async def test_json_is_checked_too(server: Server, page: Page, watched) -> None:
    workflow = await server.deploy(NESTED)
    await page.goto(f"/workflows/{workflow}?tab=start&input=json")
    await page.get_by_label("Input, as JSON").fill('{"customer": {"name": "Ada"}, "lines": []}')
    await page.get_by_role("button", name="Start", exact=True).click()
    alert = page.get_by_role("alert")
    await expect(alert).to_contain_text("does not match its schema")
    await expect(alert.locator("code")).to_have_text(["/customer", "/lines"])


async def test_a_problem_of_the_api_is_said_at_the_tags(server: Server, page: Page, watched) -> None:
    watched.allowed = ("422",)
    workflow = await server.deploy(SLEEP)
    await page.goto(f"/workflows/{workflow}?tab=start")
    await page.get_by_role("button", name="Add a tag").click()
    await page.get_by_label("Name of tag 1").fill("note")
    await page.get_by_label("Value of tag 1").fill("\u200b")
    await page.get_by_role("button", name="Start", exact=True).click()
    await expect(page.get_by_role("group", name="Tags").get_by_role("alert")).to_contain_text("tag note")


async def test_an_input_is_checked_without_a_start(server: Server) -> None:
    workflow = await server.deploy(NESTED)
    check = f"/workflows/{workflow}/1.0.0/input-check"
    good = {"customer": {"name": "Ada", "mail": "a@b"}, "lines": [{"sku": "x"}]}
    assert await server.call("POST", check, json={"input": good}) == {"problems": []}
    found = await server.call("POST", check, json={"input": {**good, "lines": [{}]}})
    assert found == {"problems": [{"pointer": "/lines/0", "message": '"sku" is a required property'}]}
    [whole] = (await server.call("POST", check, json={"input": 7}))["problems"]
    assert whole["pointer"] == ""
