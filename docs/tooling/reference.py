"""Writes the pages in docs/reference: `python -m docs.tooling.reference`."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from docs.tooling.api_page import api_page
from docs.tooling.cli_page import cli_page
from docs.tooling.errors_page import errors_page
from docs.tooling.events_page import events_page
from docs.tooling.metrics_page import metrics_page
from docs.tooling.python_page import python_page
from docs.tooling.settings_page import settings_page

FOLDER: Final = Path(__file__).parents[1] / "reference"

PAGES: Final[dict[str, Callable[[], str]]] = {
    "api.md": api_page,
    "cli.md": cli_page,
    "errors.md": errors_page,
    "events.md": events_page,
    "metrics.md": metrics_page,
    "python.md": python_page,
    "settings.md": settings_page,
}


def main() -> None:
    """Writes every page."""
    FOLDER.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
