"""Results on standard output: JSON for programs, aligned columns for people."""

import sys
from collections.abc import Iterable, Sequence
from itertools import zip_longest
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
        click.echo(_aligned(row, widths, [STATUS_STYLES.get(cell) for cell in row]))


def _aligned(row: Sequence[str], widths: Sequence[int], styles: Iterable[str | None] = ()) -> str:
    padding = [width - len(cell) for cell, width in zip(row, widths, strict=True)]
    shown = [
        cell if style is None else styled(cell, style, sys.stdout) for cell, style in zip_longest(row, styles)
    ]
    return "  ".join(cell + " " * spaces for cell, spaces in zip(shown, padding, strict=True)).rstrip()


def shortened(text: str, width: int) -> str:
    """Returns the text, cut to at most `width` characters."""
    return text if len(text) <= width else text[: width - 3] + "..."
