"""Diagrams in a real browser: they fit their boxes, and a page with a strict policy can show them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, sync_playwright
from tests.chromium import ARGUMENTS, CHROMIUM, WAIT_MILLISECONDS
from tests.diagram.definitions import HOSTILE, LEAVES, definition, plan

from unspool.api.diagrams import policy
from unspool.diagram.layout.workflow import layout
from unspool.diagram.status import TaskState, TaskStatus
from unspool.diagram.svg import stylesheet, svg

ORIGIN = "http://diagrams.test"
STRICT = "default-src 'none'; style-src 'self'"
TASKS = [{f"{name}{place}": task} for place, (name, task) in enumerate(zip(HOSTILE, LEAVES, strict=False))]
CASES = [{name: {"when": f"${{ .x == {len(name)} }}", "then": "continue"}} for name in HOSTILE]
DRAWN = layout(plan(definition([*TASKS, {"choose": {"switch": CASES}}, {"inside": {"do": TASKS[:3]}}])))

OUTSIDE = """() => [...document.querySelectorAll('[data-pointer]')].flatMap(task => {
    const body = task.querySelector('.body').getBoundingClientRect()
    const texts = [...task.querySelectorAll(':scope > text')]
    return texts.filter(text => text.getBoundingClientRect().right > body.right).map(text => text.textContent)
})"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=ARGUMENTS, timeout=2 * WAIT_MILLISECONDS
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that fails its test if anything was refused, asked or logged as an error."""
    page = browser.new_page()
    page.set_default_timeout(WAIT_MILLISECONDS)
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
    yield page
    page.close()
    assert not wrong


def serve(page: Page, **files: tuple[str, str, str]) -> None:
    """Serves files: type, text and policy by name."""

    def answer(route: Route) -> None:
        type_, text, rules = files[Path(route.request.url).name.replace(".", "_")]
        headers = {"Content-Type": type_, "Content-Security-Policy": rules}
        route.fulfill(body=text, headers=headers)

    page.route(f"{ORIGIN}/**", answer)


def test_a_page_with_a_strict_policy_shows_a_diagram(page):
    states = {box.key: TaskState(TaskStatus.RUNNING, 12, 3) for box in DRAWN.boxes if box.task is not None}
    text = svg(DRAWN, states, styled=False)
    head = '<link rel="icon" href="data:,"><link rel="stylesheet" href="style.css">'
    html = f'<!doctype html><meta charset="utf-8">{head}{text}'
    serve(
        page,
        index=("text/html", html, f"{STRICT}; img-src data:"),
        style_css=("text/css", stylesheet(), STRICT),
    )
    page.goto(f"{ORIGIN}/index")
    assert page.locator("[data-pointer]").count() == len(states)
    assert page.evaluate(OUTSIDE) == []
    task = page.locator("[data-pointer] > .body").first
    assert task.evaluate("body => getComputedStyle(body).strokeWidth") == "2px"
    assert page.evaluate("document.querySelectorAll('script, img, svg svg').length") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_file_has_its_style_in_light_and_dark(page, scheme):
    page.emulate_media(color_scheme=scheme)
    serve(page, a_svg=("image/svg+xml", svg(DRAWN), policy()))
    page.goto(f"{ORIGIN}/a.svg")
    assert page.evaluate(OUTSIDE) == []
    canvas = page.locator(".canvas").evaluate("canvas => getComputedStyle(canvas).fill")
    assert canvas == {"light": "rgb(255, 255, 255)", "dark": "rgb(13, 17, 23)"}[scheme]
