"""Results on standard output: JSON for programs, aligned columns for people."""

import sys
from collections.abc import Iterable, Sequence
from typing import Final

import click
import orjson

from unspool.cli.terminal import is_terminal, printable, styled
from unspool.definitions.json_value import Json

STATUS_STYLES: Final = {
    "completed": "green",
    "faulted": "red",
    "cancelled": "yellow",
    "suspended": "yellow",
    "running": "cyan",
    "waiting": "cyan",
}


def say(text: str) -> None:
    """A line on standard error: what is going on, beside the results."""
    click.echo(printable(text), err=True)


def print_json(value: Json, *, one_line: bool = False) -> None:
    """One JSON document; indented only for somebody who looks at it."""
    click.echo(json_text(value, indent=not one_line and is_terminal(sys.stdout)))


def print_line(value: Json) -> None:
    """One JSON object of a list or stream, on a line of its own."""
    click.echo(json_text(value))


def json_text(value: Json, *, indent: bool = False) -> str:
    """A value as JSON that is safe to show."""
    return printable(orjson.dumps(value, option=orjson.OPT_INDENT_2 if indent else 0).decode())


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Aligned columns under headings; a status is coloured. The last column may be of any length."""
    cells = [[printable(cell).replace("\n", " ") for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    click.echo(styled(_aligned(headings, widths), "bold", sys.stdout))
    for row in cells:
        click.echo(_coloured(_aligned(row, widths), row))


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _coloured(line: str, row: Sequence[str]) -> str:
    status = next((cell for cell in row if cell in STATUS_STYLES), None)
    if status is None:
        return line
    before, found, after = line.partition(status)
    return before + styled(found, STATUS_STYLES[status], sys.stdout) + after


def shortened(text: str, width: int) -> str:
    """The text in at most so many characters."""
    return text if len(text) <= width else text[: width - 3] + "..."
