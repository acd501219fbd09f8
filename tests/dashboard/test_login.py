"""The login, if the API wants to know its callers."""

import asyncio
import sys
from pathlib import Path

from playwright.async_api import Browser, expect
from tests.dashboard.conftest import SLEEP, Watched, running, store_in, visitor


async def create_key(folder: Path, scope: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "unspool.cli", "keys", "create", "--name", scope, "--scope", scope),
        *("--store", store_in(folder)),
        stdout=asyncio.subprocess.PIPE,
    )
    stdout, _ = await process.communicate()
    return stdout.decode().strip()


async def test_a_key_logs_in_and_its_scopes_decide_what_is_offered(browser: Browser, tmp_path: Path) -> None:
    async with running(tmp_path, UNSPOOL_AUTH="on") as server:
        reader, admin = await create_key(tmp_path, "read"), await create_key(tmp_path, "admin")
        server.session.headers["Authorization"] = f"Bearer {admin}"
        id_ = await server.start(await server.deploy(SLEEP))
        await server.reach(id_, "waiting")
        watched = Watched(server.url, allowed=("401",))
        async with visitor(browser, watched) as page:
            await page.goto(f"/executions/{id_}")
            field = page.get_by_label("API key or JWT")
            await field.fill("usk_wrong")
            await page.keyboard.press("Enter")
            await expect(page.get_by_role("alert")).to_be_visible()
            await field.fill(reader)
            await page.keyboard.press("Enter")
            await expect(page.locator("tr.row", has_text="nap")).to_contain_text("waiting")
            await expect(page.get_by_text("key:read")).to_be_visible()
            await expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
            await page.reload()
            await expect(page.locator("tr.row", has_text="nap")).to_be_visible()
            assert await page.evaluate("Object.keys({...localStorage, ...sessionStorage}).length") == 0
            await page.get_by_role("button", name="Log out").click()
            await field.fill(admin)
            await page.keyboard.press("Enter")
            await page.get_by_role("button", name="Cancel").click()
            await page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
            await expect(page.locator(".head .status")).to_have_text("cancelled")
