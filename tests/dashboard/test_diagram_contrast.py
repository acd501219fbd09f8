"""The contrast of the texts of a diagram, deep inside frames and on tasks that faulted or are skipped."""

import pytest
from playwright.async_api import Browser, expect
from tests.dashboard.conftest import Server, Watched, visitor

DEEP = """\
document: {dsl: '1.0.3', namespace: shop, name: NAME, version: '1.0.0'}
do:
  - one:
      try:
        - two:
            fork:
              branches:
                - three:
                    do:
                      - four:
                          for: {each: n, in: '${ [1] }'}
                          do:
                            - five:
                                try:
                                  - refuse: {raise: {error: {type: 'https://example.com/no', status: 400}}}
                                catch:
                                  errors: {with: {status: 500}}
                                  do:
                                    - other: {set: {n: 1}}
      catch:
        do:
          - handle: {set: {n: 2}, then: exit}
          - skipped: {set: {n: 3}}
  - left: {set: {n: 4}, if: '${ false }'}
"""

LOW = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const over = ({ fill, fillOpacity, opacity }, below) => {
    canvas.globalAlpha = 1; canvas.fillStyle = below; canvas.fillRect(0, 0, 1, 1);
    canvas.globalAlpha = fillOpacity * opacity; canvas.fillStyle = fill; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b] = canvas.getImageData(0, 0, 1, 1).data;
    return `rgb(${r} ${g} ${b})`;
  };
  const light = (colour) => colour.match(/\\d+/g)
    .map(c => c / 255).map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const boxes = [...document.querySelectorAll(".diagram rect:not(.canvas)")]
    .map(each => [each, each.getBoundingClientRect()]);
  const paper = getComputedStyle(document.querySelector(".drawn")).backgroundColor;
  const contrast = (text) => {
    const { left, top, height } = text.getBoundingClientRect();
    const [x, y] = [left + 1, top + height / 2];
    const below = boxes
      .filter(([, box]) => x > box.left && x < box.right && y > box.top && y < box.bottom)
      .reduce((colour, [each]) => over(getComputedStyle(each), colour), paper);
    const [darker, lighter] = [below, over(getComputedStyle(text), below)].map(light).sort((a, b) => a - b);
    return (lighter + 0.05) / (darker + 0.05);
  };
  return [...document.querySelectorAll(".diagram text")]
    .filter(each => each.textContent.trim() && contrast(each) < 4.5)
    .map(each => `${each.textContent}: ${contrast(each).toFixed(2)}`);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_texts_of_a_diagram_have_enough_contrast(browser: Browser, server: Server, scheme: str) -> None:
    id_ = await server.start(await server.deploy(DEEP), wait=60)
    async with visitor(browser, Watched(server.url), color_scheme=scheme) as page:
        await page.goto(f"/executions/{id_}?tab=diagram")
        await expect(page.locator(".diagram .is-faulted").first).to_be_visible()
        await expect(page.locator(".diagram .is-skipped").first).to_be_visible()
        assert await page.evaluate(LOW) == []
