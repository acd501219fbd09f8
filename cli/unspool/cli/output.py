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
    """Prints a line on standard error: progress and notes, not results."""
    click.echo(printable(text), err=True)


def print_json(value: Json, *, one_line: bool = False) -> None:
    """Prints one JSON document; indented on a terminal only."""
    click.echo(json_text(value, indent=not one_line and is_terminal(sys.stdout)))


def print_line(value: Json) -> None:
    """Prints one JSON object of a list or stream on one line."""
    click.echo(json_text(value))


def json_text(value: Json, *, indent: bool = False) -> str:
    """Returns a value as JSON that is safe on a terminal."""
    return printable(orjson.dumps(value, option=orjson.OPT_INDENT_2 if indent else 0).decode())


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Prints aligned columns with headings, and colours statuses. The last column can have any length."""
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
    """Returns the text, cut to at most `width` characters."""
    return text if len(text) <= width else text[: width - 3] + "..."
