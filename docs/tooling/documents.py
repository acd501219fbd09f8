"""The Markdown files of the repository."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]

_FOLDERS: Final = ("docs", "deploy", "examples", "tests", "benchmarks")


def documents() -> list[Path]:
    """Returns the files, sorted."""
    inside = (file for folder in _FOLDERS for file in (ROOT / folder).rglob("*.md"))
    return sorted([*ROOT.glob("*.md"), *inside])
