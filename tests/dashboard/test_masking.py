"""Values that a definition masks are in no view, and in nothing that is copied from one."""

import json
from typing import Any
from uuid import uuid4

import pytest
from playwright.async_api import Page, expect
from tests.dashboard.conftest import Server, copied

MASKED = """\
document:
  dsl: '1.0.3'
  namespace: shop
  name: NAME
  version: '1.0.0'
  metadata: {unspool: {mask: [/card/number, /customers/*/name]}}
do:
  - keep:
      set: {card: '${ .card }', customers: '${ .customers }'}
      export: {as: '{ card: $input.card }'}
  - refuse:
      raise:
        error:
          type: https://example.com/refused
          status: 409
          title: Refused
          detail: '${ "the card \\(.card.number) is refused" }'
"""

PLACES = {
    "tasks": "&run=1",
    "diagram": "",
    "timeline": "",
    "events": "",  # the last one has the error
    "state": "&at=5&since=0",
    "data": "",
}


@pytest.fixture
def secrets() -> tuple[str, str]:
    return f"4111{uuid4().int % 10**12:012}", f"Grace {uuid4().hex}"


async def started(server: Server, secrets: tuple[str, str]) -> tuple[str, str]:
    number, name = secrets
    workflow = await server.deploy(MASKED)
    data = {"card": {"number": number, "holder": "Ada"}, "customers": [{"name": name, "age": 36}]}
    return workflow, await server.start(workflow, input=data, wait=60)


def reveals(text: str, secrets: tuple[str, str]) -> list[str]:
    return [secret for secret in secrets if secret in text]


@pytest.mark.parametrize("tab", PLACES)
async def test_views_of_an_execution(server: Server, page: Page, secrets: tuple[str, str], tab: str) -> None:
    _, id_ = await started(server, secrets)
    await page.goto(f"/executions/{id_}?tab={tab}{PLACES[tab]}")
    await expect(page.get_by_role("region", name="Error")).to_contain_text("the card [masked] is refused")
    shown = page.locator("main")
    if tab in ("tasks", "events", "state", "data"):
        await expect(shown.locator(".json").first).to_contain_text("[masked]")
    else:
        await expect(page.locator(".lane, .diagram [data-pointer]").first).to_be_visible()
    assert reveals(await page.content(), secrets) == []


async def test_lists(server: Server, page: Page, secrets: tuple[str, str]) -> None:
    workflow, _ = await started(server, secrets)
    await page.goto(f"/?workflow={workflow}")
    await expect(page.locator("tbody tr")).to_contain_text("the card [masked] is refused")
    await page.goto(f"/workflows/{workflow}")
    await expect(page.get_by_role("region", name="Recent executions")).to_contain_text("[masked]")
    assert reveals(await page.content(), secrets) == []


async def test_what_is_copied(server: Server, page: Page, secrets: tuple[str, str]) -> None:
    _, id_ = await started(server, secrets)

    async def copy_of(tab: str, button: str) -> Any:
        await page.goto(f"/executions/{id_}?tab={tab}&run=1")
        return await copied(page, page.get_by_role("button", name=button))

    given = await copy_of("data", "Copy Input as JSON")
    assert given["card"] == {"number": "[masked]", "holder": "Ada"}
    assert given["customers"] == [{"name": "[masked]", "age": 36}]
    assert (await copy_of("tasks", "Copy Output as JSON"))["card"]["number"] == "[masked]"
    history = await copy_of("events", "Copy all events as JSON")
    assert history[-1]["type"] == "workflow.faulted"
    assert reveals(json.dumps(history), secrets) == []
