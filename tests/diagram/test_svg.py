"""Diagrams as SVG: well formed, escaped, without scripts and inline styles."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from tests.diagram.definitions import HOSTILE, definition, definitions, plan
from tests.diagram.test_layout import generated

from unspool.definitions.compile import plan_of
from unspool.definitions.expressions import JqPool
from unspool.diagram.layout.workflow import layout
from unspool.diagram.mermaid import mermaid
from unspool.diagram.plain_text import plain_text
from unspool.diagram.svg import stylesheet, svg
from unspool.diagram.text_width import fitted, width_of

EXAMPLES = sorted(
    path
    for folder in ("../shared/spec/examples", "examples")
    for path in (Path(__file__).parents[2] / folder).glob("*.yaml")
    if "document:" in path.read_text()
)
NAME = "{http://www.w3.org/2000/svg}"
ELEMENTS = {"svg", "title", "style", "g", "rect", "path", "circle", "line", "text"}
ATTRIBUTES = {
    *("class", "d", "data-kind", "data-pointer", "height", "role", "rx", "transform", "viewBox", "width"),
    *("x", "y", "cx", "cy", "r", "x1", "x2", "y1", "y2"),
}


@generated
@given(definitions)
def test_an_svg_has_each_task_once_and_nothing_that_runs(written):
    compiled = plan(written)
    root = ElementTree.fromstring(svg(layout(compiled)))
    pointers = [pointer for element in root.iter() if (pointer := element.get("data-pointer")) is not None]
    assert sorted(pointers) == sorted(_as_xml(pointer) for pointer in compiled.tasks if pointer)
    for element in root.iter():
        assert element.tag.removeprefix(NAME) in ELEMENTS
        assert set(element.attrib) <= ATTRIBUTES


def _as_xml(pointer: str) -> str:
    """A pointer as XML can have it: in attributes a reader takes white space for spaces."""
    kept = re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", pointer)
    return re.sub("[\t\n\r]", " ", kept.replace("\r\n", "\n"))


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_escaped_everywhere(name):
    tasks = [
        {name: {"set": {name: 1}, "if": f"${{ .x == {len(name)} }}"}},
        {f"{name}2": {"switch": [{name: {"then": "end"}}]}},
        {f"{name}3": {"call": name}},
        {f"{name}4": {"run": {"shell": {"command": name}}}},
    ]
    compiled = plan(definition(tasks))
    drawn = layout(compiled)
    texts = "".join(ElementTree.fromstring(svg(drawn)).itertext())
    assert _as_xml(name)[:20] in re.sub("[\t\n\r]", " ", texts)
    for line in mermaid(drawn).splitlines():
        assert not re.search(r"[<>](?!br/>)|`|&", re.sub(r"<br/>|-->|-\.->", "", line))
    assert "\x1b" not in svg(drawn)
    assert len(plain_text(drawn.outline).splitlines()) < 20


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_drawn(path):
    jq = JqPool(1)
    try:
        compiled = plan_of(path.read_text(), jq)
    finally:
        jq.close()
    drawn = layout(compiled)
    pointers = {box.key for box in drawn.boxes if box.task is not None}
    assert pointers == {pointer for pointer in compiled.tasks if pointer}
    assert pointers
    ElementTree.fromstring(svg(drawn))
    text = plain_text(drawn.outline)
    assert all(task.name in text for task in compiled.tasks.values() if task.pointer)
    assert mermaid(drawn).startswith("flowchart TD\n")


def test_the_stylesheet_is_inside_only_if_it_is_wanted():
    drawn = layout(plan(definition([{"a": {"set": {}}}])))
    assert stylesheet() in ElementTree.fromstring(svg(drawn)).findtext(f"{NAME}style")
    assert "<style" not in svg(drawn, styled=False)
    assert 'role="group"' in svg(drawn, styled=False)
    rules = re.findall(r"^([^@/ {}\n][^{]*)\{", stylesheet(), re.MULTILINE)
    assert all(rule.startswith(".unspool-diagram") for rule in rules)


def test_texts_are_cut_to_their_width():
    assert fitted("short", 100, 13) == "short"
    for text in ("W" * 100, "i" * 1000, "名" * 80, "🙂" * 9):
        cut = fitted(text, 60, 13)
        assert cut.endswith("…")
        assert width_of(cut, 13) <= 60
