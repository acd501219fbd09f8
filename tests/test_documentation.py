"""Checks that the documents match the code."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from docs.tooling.documents import documents

from unspool.testing import Workflow

ROOT = Path(__file__).parents[1]
QUOTE = ROOT / "docs/images/quote.yaml"
UNSPOOL = Path(sys.executable).with_name("unspool")


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_blocks_in_lists_look_alike_on_github_and_on_the_site(document: Path) -> None:
    text = re.sub(r"^( *)```.*?^\1```$", "```", document.read_text(), flags=re.DOTALL | re.MULTILINE)
    assert re.findall(r"^\s*\n {1,3}\S.*$", text, re.MULTILINE) == [], "indent them by four blanks"


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs/decisions"
    listed = re.findall(r"\]\((\d{4}-[\w-]+\.md)\)", (folder / "README.md").read_text())
    assert listed == sorted(path.name for path in folder.glob("[0-9]*.md"))


def test_the_readme_shows_the_example_as_it_is() -> None:
    [shown] = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert shown == (ROOT / "examples/hello.yaml").read_text()


def test_the_schema_for_editors_is_current() -> None:
    printed = subprocess.check_output([UNSPOOL, "schema"], text=True, timeout=120)
    assert (ROOT / "docs/workflow.schema.json").read_text() == printed, "run `make schema`"


def test_the_readme_names_demo_and_test_near_its_top() -> None:
    top = (ROOT / "README.md").read_text().partition("```yaml")[0]
    rules = (ROOT / "Makefile").read_text()
    for target in ("demo", "test"):
        assert re.search(rf"^make {target}\b", top, re.MULTILINE)
        assert re.search(rf"^{target}: setup\b", rules, re.MULTILINE), (
            f"make {target} must set up all it needs"
        )


def test_every_file_in_the_glossary_exists() -> None:
    glossary = (ROOT / "CONTRIBUTING.md").read_text().partition("## Glossary")[2].partition("\n## ")[0]
    places = re.findall(r"`([\w/]+/[\w.]*)`", glossary)
    assert len(places) > 20
    assert [place for place in places if not (ROOT / place).exists()] == []


CITED = re.compile(r"[Ii]nventory ((?:[A-Z]\d+(?:-\d+)?(?:, | and | to )?)+)")


def test_every_reading_that_is_cited_is_there() -> None:
    listed = set(re.findall(r"\b[A-Z]\d+\b", (ROOT / "docs/readings.md").read_text()))
    parts = (
        *(
            "definitions",
            "eventstore",
            "worker",
            "executor",
            "timer_service",
            "dashboard",
            "client",
            "api",
            "cli",
        ),
        "docs",
    )
    files = [file for part in parts for file in (ROOT / part).rglob("*.*")]
    cited = {
        number
        for file in files
        if file.suffix in {".py", ".yaml", ".md"}
        for found in CITED.findall(file.read_text())
        for number in re.findall(r"[A-Z]\d+", found)
    }
    assert cited
    assert cited <= listed


def test_concepts_shows_the_example_as_it_is() -> None:
    page = (ROOT / "docs/concepts.md").read_text()
    [shown] = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert shown == QUOTE.read_text()


def test_concepts_shows_the_history_that_the_example_has() -> None:
    page = (ROOT / "docs/concepts.md").read_text()
    shown = re.findall(r"^(\d+) +([a-z.]+) +(?:(/\S+) +(\d+))?", page, re.MULTILINE)
    given = {"service": "http://127.0.0.1:8099"}
    run = Workflow.from_file(QUOTE).run(given, mocks={"fetch": {"sku": "lamp", "price": 40}})
    assert shown == [(str(each.seq), each.type, each.task or "", each.run or "") for each in run.history]
