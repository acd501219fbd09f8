"""Every page does what it says: its commands run in order, and print what it shows."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.docs.conftest import MakeReader
from tests.docs.markdown import ROOT, Block, blocks, pages
from tests.docs.reader import Reader

RUN = {"run", "console", "sh", "bash", "python"}
FOR_NEWCOMERS = [ROOT / "docs/tutorial.md", ROOT / "README.md"]
FOLLOWED = [
    *(
        ROOT / f"docs/{name}.md"
        for name in (
            *("index", "getting-started", "access", "api", "checks", "cli", "client", "editors"),
            *("events", "expressions", "functions", "mcp", "operations", "retention", "runs", "schedules"),
            *("encryption", "testing", "tracing"),
        )
    ),
    ROOT / "examples/event-workers/README.md",
]
"""A page is listed here when its commands may run on any machine."""


def _is_run(block: Block) -> bool:
    return "skip" not in block.remarks and block.page in (*FOR_NEWCOMERS, *FOLLOWED)


NOT_RUN = [
    block for page in pages() for block in blocks(page) if block.language in RUN and not _is_run(block)
]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", FOLLOWED, ids=lambda page: str(page.relative_to(ROOT)))
def test_everything_happens_as_written(page: Path, reader: Reader) -> None:
    for block in blocks(page):
        reader.follow(block)


@pytest.mark.timeout(900)
def test_a_newcomer_follows_tutorial_and_readme(clone: Path, make_reader: MakeReader) -> None:
    """Installs as the tutorial says, then follows both pages at the same time: each waits now and then."""
    tutorial, readme = map(list, map(blocks, FOR_NEWCOMERS))
    installed = 1 + next(number for number, block in enumerate(tutorial) if "newcomer" in block.remarks)
    reader, another = make_reader(clone, None), make_reader(clone, None)
    _follow(reader, tutorial[:installed])
    with ThreadPoolExecutor() as pool:
        followed = [pool.submit(_follow, reader, tutorial[installed:]), pool.submit(_follow, another, readme)]
    for each in followed:
        each.result()


def _follow(reader: Reader, steps: list[Block]) -> None:
    for block in steps:
        reader.follow(block)


@pytest.mark.parametrize("block", NOT_RUN, ids=lambda block: block.name)
def test_a_block_that_is_not_run(block: Block) -> None:
    """The output of the CI lists these at its end."""
    pytest.skip(f"{block.name} is not run: {block.remarks.get('skip', 'the page is not followed')}")
