"""The login at an issuer, whose pages are of another site for the browser."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Route, expect
from tests.api.issuer import AUDIENCE, CLIENT, Issuer, run_issuer
from tests.dashboard.conftest import SLEEP, Server, Watched, proxied, running, visitor
from tests.dashboard.test_keyboard import tab_to
from tests.dashboard.test_reading import CONTRAST

BUTTON = "Log in with The shop"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def issuer() -> AsyncIterator[Issuer]:
    async with run_issuer("localhost") as started:
        started.asks = True
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def locked(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    """A server at which people log in at the issuer."""
    settings = {
        "UNSPOOL_AUTH": "on",
        "UNSPOOL_JWT_ISSUER": issuer.url,
        "UNSPOOL_JWT_AUDIENCE": AUDIENCE,
        "UNSPOOL_OIDC_CLIENT_ID": CLIENT,
        "UNSPOOL_OIDC_NAME": "The shop",
    }
    async with running(tmp_path_factory.mktemp("locked"), **settings) as server:
        server.session.headers["Authorization"] = f"Bearer {issuer.token(scope='unspool:admin')}"
        yield server


def watched_at(server: Server, issuer: Issuer) -> Watched:
    return Watched(server.url, allowed=("401",), other_host=issuer.url)


async def test_a_login_returns_to_the_page_and_has_a_session(
    browser: Browser, locked: Server, issuer: Issuer
) -> None:
    id_ = await locked.start(await locked.deploy(SLEEP))
    await locked.reach(id_, "waiting")
    async with visitor(browser, watched_at(locked, issuer)) as page:
        await page.goto(f"/executions/{id_}?tab=events")
        await tab_to(page, page.get_by_role("link", name=BUTTON))
        await page.keyboard.press("Enter")
        await expect(page).to_have_title("Issuer")
        await page.get_by_role("link", name="Agree").click()
        await expect(page.get_by_title("jwt:ada")).to_be_visible()
        await expect(page.locator(".event").first).to_be_visible()
        assert page.url == f"{locked.url}/executions/{id_}?tab=events"
        cookies = {cookie["name"]: cookie for cookie in await page.context.cookies(locked.url)}
        assert cookies.keys() == {"unspool_session"}
        assert cookies["unspool_session"]["sameSite"] == "Strict"
        await page.get_by_role("button", name="Log out").click()
        await expect(page.get_by_role("link", name=BUTTON)).to_be_visible()


FRAMES = "new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))"


async def test_a_request_that_the_page_gives_up_leaves_the_login_as_it_is(
    browser: Browser, locked: Server, issuer: Issuer
) -> None:
    """Two requests are refused. The first answer ends the page before the body of the other has come."""
    async with proxied(locked) as proxy:
        watched = Watched(f"http://127.0.0.1:{proxy.port}", allowed=("401",))
        async with visitor(browser, watched) as page:
            await page.goto("/")
            await page.get_by_label("API key or JWT").fill(issuer.token(scope="unspool:admin"))
            await page.keyboard.press("Enter")
            await expect(page.get_by_role("button", name="Log out")).to_be_visible()

            async def second(route: Route) -> None:
                await proxy.holds.wait()
                await route.continue_()

            await page.route("**/api/v1/executions?*", second)
            proxy.hold_back_the_body_for(b"GET /api/v1/counts")
            async with page.expect_event("requestfailed", lambda request: "/counts" in request.url):
                await page.context.clear_cookies()
            await page.evaluate(FRAMES)
            assert await page.get_by_role("link", name=BUTTON).is_visible()
            assert not await page.get_by_role("button", name="Log out").is_visible()


async def test_a_failed_login_says_why_and_can_be_repeated(
    browser: Browser, locked: Server, issuer: Issuer
) -> None:
    async with visitor(browser, watched_at(locked, issuer)) as page:
        await page.goto("/schedules")
        await page.get_by_role("link", name=BUTTON).click()
        await page.get_by_role("link", name="Deny").click()
        await expect(page.get_by_role("alert")).to_contain_text("denied")
        await expect(page).to_have_url(f"{locked.url}/login?error=denied&next=%2Fschedules")
        await page.get_by_role("link", name=BUTTON).click()
        agree = await page.get_by_role("link", name="Agree").get_attribute("href")
        await page.get_by_role("link", name="Agree").click()
        await expect(page).to_have_url(f"{locked.url}/schedules")
        await expect(page.get_by_title("jwt:ada")).to_be_visible()
        await page.goto(str(agree))  # the same answer again: the session that there is stays
        await expect(page.get_by_role("alert")).to_contain_text("not begun in this browser")
        await page.get_by_role("link", name="Go on").click()
        await expect(page.get_by_title("jwt:ada")).to_be_visible()


async def test_the_login_page_shows_no_text_and_no_link_of_others(
    browser: Browser, locked: Server, issuer: Issuer
) -> None:
    async with visitor(browser, watched_at(locked, issuer)) as page:
        for next_ in (
            "//evil.example",
            "https://evil.example",
            "/%09/evil.example",
            "javascript:alert(1)",
            "//",
        ):
            await page.goto(f"/login?error=%3Cimg%20src=x%20onerror=alert(1)%3E&next={next_}")
            await expect(page.get_by_role("alert")).to_have_text("The login failed. Log in again.")
            link = page.get_by_role("link", name=BUTTON)
            await expect(link).to_have_attribute("href", "/api/v1/session/login?next=%2F")
        await page.goto("/login?error=__proto__&next=/events")
        await expect(page.get_by_role("alert")).to_have_text("The login failed. Log in again.")
        await page.get_by_label("API key or JWT").fill(issuer.token())
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(f"{locked.url}/events")
        await expect(page.get_by_title("jwt:ada")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_login_page_on_a_phone(
    browser: Browser, locked: Server, issuer: Issuer, scheme: str
) -> None:
    async with visitor(browser, watched_at(locked, issuer), color_scheme=scheme) as page:
        await page.set_viewport_size({"width": 390, "height": 800})
        await page.goto("/login?error=expired&next=/system")
        await expect(page.get_by_role("link", name=BUTTON)).to_be_visible()
        assert await page.evaluate(CONTRAST) == []
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
