"""Reads pages of the documentation: their blocks of code, and the remarks for tests in HTML comments.

CONTRIBUTING.md, "Pages that run", lists the remarks.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]

REMARKS = {
    "skip",
    "run",
    "replace",
    "terminal",
    "serves",
    "stop",
    "exit",
    "output",
    "file",
    "finds",
    "newcomer",
    "again",
    "part",
}
ALONE = {"run", "replace", "stop"}
"""Remarks that are steps of their own. The others are about the block that follows."""

_PARTS = re.compile(
    r"^<!-- test: (?P<remark>[\w-]+)(?P<value>.*?)-->"
    r"|^(?P<indent> *)```(?P<language>\w*)(?P<attributes>[^\n]*)\n(?P<text>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)
_PRINTS = re.compile(r"\s*(Prints|Ends with exit code 1 and the error) `([^`]*)`\n")


@dataclass(frozen=True)
class Block:
    """A block of code, or a remark that is a step of its own: then `language` is the remark."""

    page: Path
    line: int
    language: str
    text: str
    title: str | None = None
    remarks: dict[str, str] = field(default_factory=dict)
    prints: tuple[str, bool] | None = None
    """What the sentence after the block says: the output, and whether the execution faults."""

    @property
    def name(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """The README, the pages of `docs` without the decisions, and the READMEs of examples."""
    return [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("examples/*/README.md"))]


def blocks(page: Path) -> Iterator[Block]:
    """Yields the blocks of a page in their order."""
    text = page.read_text()
    remarks: dict[str, str] = {}
    for part in _PARTS.finditer(text):
        line = text.count("\n", 0, part.start()) + 1
        if (remark := part["remark"]) is not None:
            assert remark in REMARKS, f"{page}:{line}: unknown remark {remark}"
            if remark in ALONE:
                yield Block(page, line, remark, part["value"].strip())
            else:
                remarks[remark] = part["value"].strip()
            continue
        yield _block(page, line, part, remarks, text[part.end() :])
        remarks = {}
    assert not remarks, f"{page}: no block follows the remark {remarks}"


def _block(page: Path, line: int, part: re.Match[str], remarks: dict[str, str], rest: str) -> Block:
    indent = len(part["indent"])
    text = "".join(row[indent:] or "\n" for row in part["text"].splitlines(keepends=True))
    title = re.search(r'title="([^"]+)"', part["attributes"])
    said = _PRINTS.match(rest)
    return Block(
        page,
        line,
        part["language"],
        text,
        title[1] if title else remarks.get("file"),
        remarks,
        (said[2], said[1] != "Prints") if said else None,
    )
