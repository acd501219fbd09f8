"""Every page does what it says: its commands run in order, and print what it shows."""

import sys
from pathlib import Path

import pytest
from tests.docs.conftest import MakeReader
from tests.docs.markdown import ROOT, Block, blocks, pages
from tests.docs.reader import Reader

RUN = {"run", "console", "sh", "bash", "python"}
FOR_NEWCOMERS = [ROOT / "docs/tutorial.md", ROOT / "README.md"]
PAGES = [
    page
    for page in pages()
    if page not in FOR_NEWCOMERS and any(block.language in RUN for block in blocks(page))
]
SKIPPED = [block for page in pages() for block in blocks(page) if "skip" in block.remarks]


once = pytest.mark.skipif(
    Path(sys.prefix).name != ".venv", reason="the tests on one version of Python, in .venv, follow the pages"
)


@once
@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_everything_happens_as_written(page: Path, reader: Reader) -> None:
    for block in blocks(page):
        reader.follow(block)


@once
@pytest.mark.timeout(900)
def test_a_newcomer_follows_tutorial_and_readme(clone: Path, make_reader: MakeReader) -> None:
    for page in FOR_NEWCOMERS:
        reader = make_reader(clone, None)
        for block in blocks(page):
            reader.follow(block)
        reader.close()


@pytest.mark.parametrize("block", SKIPPED, ids=lambda block: block.name)
def test_a_block_that_is_not_run(block: Block) -> None:
    """The output of the CI lists these at its end."""
    pytest.skip(f"{block.name} is not run: {block.remarks['skip']}")
