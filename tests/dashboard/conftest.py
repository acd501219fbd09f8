"""A real browser on a real program: one Chromium and one `unspool dev` for all tests of a process.

Every page is watched: a dialog of the browser, an error, a refused script or style, or a request to another
host fails the test.
"""

import asyncio
import inspect
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Error, Locator, Page, async_playwright, expect
from tests.chromium import ARGUMENTS, CHROMIUM, WAIT_MILLISECONDS
from tests.tcp_proxy import TcpProxy

SLEEP = """\
document: {dsl: '1.0.3', namespace: shop, name: NAME, version: '1.0.0'}
do:
  - first:
      set: {greeting: '${ "Hello " + .name }'}
  - nap:
      wait: {minutes: 10}
"""

REFUSE = """\
document: {dsl: '1.0.3', namespace: shop, name: NAME, version: '1.0.0'}
do:
  - refuse:
      raise:
        error: {type: 'https://example.com/errors/refused', status: 409, title: Refused, detail: not today}
"""

expect.set_options(timeout=WAIT_MILLISECONDS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Runs these tests on one event loop, because the browser belongs to it."""
    for item in items:
        is_async = inspect.iscoroutinefunction(getattr(item, "function", None))
        if is_async and Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@dataclass
class Server:
    """A running program, and a client of its API."""

    url: str
    session: aiohttp.ClientSession

    async def call(self, method: str, path: str, **arguments: Any) -> Any:
        async with self.session.request(method, f"{self.url}/api/v1{path}", **arguments) as response:
            body = await (response.json(content_type=None) if response.status != 204 else response.text())
            assert response.status < 400, body
            return body

    async def deploy(self, text: str, name: str = "") -> str:
        """Deploys a definition under a name that no other test has; returns `NAMESPACE/NAME`."""
        name = name or f"w{uuid4().hex[:10]}"
        headers = {"Content-Type": "application/yaml"}
        ref = await self.call("POST", "/workflows", data=text.replace("NAME", name), headers=headers)
        return f"{ref['namespace']}/{ref['name']}"

    async def start(self, workflow: str, *, wait: float = 0, **body: Any) -> str:
        """Starts an execution; returns its id."""
        query = f"?wait={wait}" if wait else ""
        started = await self.call("POST", f"/workflows/{workflow}/executions{query}", json=body)
        return str(started["id"])

    async def reach(self, id_: str, status: str) -> Any:
        """Waits until an execution has a status."""
        async with asyncio.timeout(WAIT_MILLISECONDS / 1000):
            while (execution := await self.call("GET", f"/executions/{id_}"))["status"] != status:
                await asyncio.sleep(0.05)
        return execution


async def becomes(element: Locator, condition: str) -> None:
    """Waits until a condition, a function in JavaScript, holds for an element."""
    async with asyncio.timeout(WAIT_MILLISECONDS / 1000):
        while not await element.evaluate(condition):
            await asyncio.sleep(0.05)


async def copied(page: Page, button: Locator) -> Any:
    """Clicks a button; returns the JSON that is copied. The button says so, but only for a moment."""
    await page.evaluate(
        """() => {
            const said = () => document.body.innerText.includes("Copied");
            window.saidCopied = new Promise((resolve) => {
                const changes = { subtree: true, childList: true, characterData: true };
                new MutationObserver(() => said() && resolve()).observe(document.body, changes);
            });
        }"""
    )
    await button.click()
    async with asyncio.timeout(WAIT_MILLISECONDS / 1000):
        await page.evaluate("window.saidCopied")
    return json.loads(await page.evaluate("navigator.clipboard.readText()"))


@dataclass
class Watched:
    """What a page did that it must not do."""

    host: str
    wrong: list[str] = field(default_factory=list)
    allowed: tuple[str, ...] = ()
    """Texts of console messages that a test expects."""
    other_host: str = ""
    """A host that the test visits, too."""
    failed: list[str] = field(default_factory=list)
    """Requests without an answer, also those that the page gave up."""

    def watch(self, page: Page) -> None:
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("request", lambda request: self._on_request(request.url))
        page.on("requestfailed", lambda request: self.failed.append(f"{request.url}: {request.failure}"))
        page.on("crash", lambda _: self.wrong.append("crash"))
        page.on("dialog", self._on_dialog)

    def _on_console(self, message: Any) -> None:
        if message.type in {"error", "warning"} and not any(text in message.text for text in self.allowed):
            self.wrong.append(f"console: {message.text}")

    def _on_request(self, url: str) -> None:
        if not url.startswith((self.host + "/", "blob:", f"{self.other_host or self.host}/")):
            self.wrong.append(f"request: {url}")

    async def _on_dialog(self, dialog: Any) -> None:
        self.wrong.append(f"dialog: {dialog.message}")
        await dialog.dismiss()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Chromium."""
    if CHROMIUM is None:
        pytest.skip("no Chromium: install the package `chromium` to run the tests of the dashboard")
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=ARGUMENTS, timeout=2 * WAIT_MILLISECONDS
        )
        yield launched
        await launched.close()


@asynccontextmanager
async def running(
    folder: Path, command: str = "dev", *, port: str = "0", **environment: str
) -> AsyncIterator[Server]:
    """Runs the program on a store in a folder until the block ends."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("UNSPOOL_")}
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "unspool.cli", command, "--port", port, "--store", store_in(folder)),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=log,
            env=clean | environment,
        )
    try:
        url = await _address(folder / "log")
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
            yield Server(url, session)
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def proxied(server: Server) -> AsyncIterator[TcpProxy]:
    """A proxy in front of a server."""
    proxy = TcpProxy(int(server.url.rpartition(":")[2]))
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()


async def _address(log: Path) -> str:
    """Waits until the log has the address of the API."""
    async with asyncio.timeout(100):
        while not (found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text())):  # noqa: ASYNC240 - small
            await asyncio.sleep(0.1)
    return found[0]


def store_in(folder: Path) -> str:
    """The URL of the store in a folder."""
    return f"sqlite:///{folder}/store"


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """`unspool dev`, as users run it."""
    async with running(tmp_path_factory.mktemp("dashboard")) as started:
        yield started


@asynccontextmanager
async def visitor(browser: Browser, watched: Watched, **options: Any) -> AsyncIterator[Page]:
    """A page of a new visitor, with paths relative to the server; it must do nothing wrong."""
    context = await browser.new_context(
        base_url=watched.host,
        viewport={"width": 1280, "height": 860},
        permissions=["clipboard-read", "clipboard-write"],
        **options,
    )
    context.set_default_timeout(WAIT_MILLISECONDS)
    try:
        opened = await context.new_page()
        watched.watch(opened)
        yield opened
    except AssertionError as error:
        with suppress(Error):  # it may have crashed
            shown = await opened.locator("body").inner_text()
            error.add_note(f"{opened.url} shows: {shown}\nWrong: {watched.wrong}\nFailed: {watched.failed}")
        raise
    finally:
        await context.close()
    assert watched.wrong == []


@pytest_asyncio.fixture(loop_scope="session")
async def watched(server: Server) -> Watched:
    """What the page must not do; the test can allow messages."""
    return Watched(server.url)


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, watched: Watched) -> AsyncIterator[Page]:
    """A page of a new visitor of the server that all tests share."""
    async with visitor(browser, watched) as opened:
        yield opened
