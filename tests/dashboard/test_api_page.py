"""The page of the API: Swagger UI shows every operation, and a call can be tried."""

from playwright.async_api import expect


async def test_a_call_can_be_tried(server, page) -> None:
    await page.goto(f"{server.url}/api/docs")
    document = await server.session.get(f"{server.url}/api/openapi.json")
    paths = (await document.json())["paths"]
    count = sum(method != "parameters" for item in paths.values() for method in item)
    await expect(page.locator(".opblock")).to_have_count(count)

    counts = page.locator("#operations-executions-countExecutions")
    await counts.locator(".opblock-summary-control").click()
    await counts.get_by_role("button", name="Execute").click()
    answer = counts.locator(".live-responses-table .response")
    await expect(answer.locator(".response-col_status")).to_contain_text("200")
    await expect(answer.locator(".response-col_description")).to_contain_text("atLeast")


async def test_the_policy_of_the_page_allows_no_script_inside_it(server) -> None:
    async with server.session.get(f"{server.url}/api/docs") as response:
        policy = response.headers["Content-Security-Policy"].split("; ")
        text = await response.text()
    assert {"default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"} <= {
        *policy
    }
    assert "<script>" not in text
    assert "://" not in text
