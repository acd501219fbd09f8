"""Links of all Markdown files lead somewhere, and every page is in the navigation of the site."""

import re
from pathlib import Path

import pytest
from docs.tooling.documents import ROOT, documents
from docs.tooling.links import anchors, is_external, links


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    targets = [each for each in links(document.read_text()) if not is_external(each)]
    assert [each for each in targets if not _exists(document, each)] == []


def _exists(document: Path, target: str) -> bool:
    name, _, anchor = target.partition("#")
    file = document.parent / name if name else document
    return file.exists() and (not anchor or file.suffix != ".md" or anchor in anchors(file.read_text()))


def test_every_page_is_in_the_navigation() -> None:
    named = set(re.findall(r": ([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    pages = {str(file.relative_to(ROOT / "docs")) for file in (ROOT / "docs").rglob("*.md")}
    assert {page for page in pages if not page.startswith("decisions/0")} == {
        page for page in named if not page.startswith("repository/")
    }


@pytest.mark.parametrize(
    ("markdown", "found"),
    [
        ("[a](b.md#c) and ![d](e.png)", ["b.md#c", "e.png"]),
        ("[`code` [1]](x.md)", ["x.md"]),
        ("`[a](b.md)`", []),
        ("```yaml\n[a](b.md)\n```\n[c](d.md)", ["d.md"]),
    ],
)
def test_links_outside_of_code_are_found(markdown: str, found: list[str]) -> None:
    assert list(links(markdown)) == found


def test_anchors_are_those_of_github() -> None:
    markdown = (
        "# Exactly once, at least once\n## `call: http`\n## A\n## A\n```\n# no\n```\n## [b](c.md) & D_e\n"
    )
    assert anchors(markdown) == {"exactly-once-at-least-once", "call-http", "a", "a-1", "b--d_e"}
