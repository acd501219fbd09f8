"""Options that commands share, and how the words on a command line are read."""

import functools
import os
import re
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import click

from unspool.cli.exits import Stop
from unspool.definitions.json_value import Json
from unspool.eventstore import ids, strict_json
from unspool.eventstore.records import DEFAULT_TENANT

CommandT = TypeVar("CommandT", bound=Callable[..., Any])
Result = TypeVar("Result")

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Place(NamedTuple):
    """Where a command works: which store, and whose executions and definitions in it."""

    url: str | None
    """The store's; None if the user named none."""
    tenant: str


def example(*lines: str) -> str:
    """The end of a command's help."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


def place_options(command: Callable[..., Result]) -> Callable[..., Result]:
    """`--store` and `--tenant`; the command is given a `Place` as `place`."""

    @store_option
    @click.option(
        "--tenant",
        envvar="UNSPOOL_TENANT",
        default=DEFAULT_TENANT,
        show_default=True,
        callback=_tenant,
        help="Whose definitions and executions.",
    )
    @functools.wraps(command)
    def placed(*args: object, url: str | None, tenant: str, **options: object) -> Result:
        return command(*args, place=Place(url, tenant), **options)

    return placed


def store_option(command: CommandT) -> CommandT:
    """`--store`."""
    return click.option(
        "--store",
        "url",
        envvar="UNSPOOL_STORE",
        metavar="URL",
        callback=lambda _context, _option, url: url or None,
        help="Event store, such as redis://HOST:PORT/DB or sqlite:///PATH; default: UNSPOOL_STORE, "
        "else a file in your data directory.",
    )(command)


json_option = click.option(
    "--json", "as_json", is_flag=True, help="JSON: one document, or one object a line for lists."
)

input_option = click.option(
    "--input",
    "input_text",
    metavar="JSON|@FILE|-",
    default="{}",
    help="The workflow's input: JSON, a file that holds it, or - for standard input; default {}.",
)


def _tenant(_context: click.Context, _option: click.Parameter, name: str) -> str:
    if not ids.TENANT.fullmatch(name):
        raise click.BadParameter(f"a tenant must match {ids.TENANT.pattern}")
    return name


def read_input(text: str) -> Json:
    """The value of `--input`.

    Raises:
        Stop: there is no such file, or what was given is not JSON.
    """
    if text == "-":
        return parse_json(read_file("-"), "standard input")
    if text.startswith("@"):
        return parse_json(read_file(text[1:]), text[1:])
    return parse_json(os.fsencode(text), "--input")


def read_file(name: str) -> bytes:
    """A file's content; `-` is standard input.

    Raises:
        Stop: it cannot be read.
    """
    if name == "-":
        return _standard_input()
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise Stop(f"{name or '.'}: {error.strerror}") from None


def _standard_input() -> bytes:
    """All of it. Ctrl-C ends the wait for it at once, in an event loop too."""
    waiting = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return sys.stdin.buffer.read()
    finally:
        signal.signal(signal.SIGINT, waiting)


def parse_json(text: bytes, source: str, levels: int = strict_json.MAX_DEPTH) -> Json:
    """A JSON text as a value.

    Raises:
        Stop: it is none, or none that can be taken.
    """
    try:
        return strict_json.parse(text, levels)
    except strict_json.BadJson as error:
        raise Stop(f"{source} {error}") from None


def workflow_name(text: str) -> tuple[str, str]:
    """`NAMESPACE/NAME` as its two parts.

    Raises:
        Stop: it has not that form.
    """
    named = ids.workflow_name(text)
    if named is None:
        raise Stop(f"{text!r} is no workflow; write NAMESPACE/NAME")
    return named


def moment(text: str, now: int) -> int:
    """A time: RFC 3339, or how long ago (`30m`, `12h`, `7d`); milliseconds since 1970.

    Raises:
        Stop: it is neither.
    """
    if re.fullmatch(r"[0-9]{1,9}[smhd]", text):
        return now - int(text[:-1]) * _UNITS[text[-1]] * 1000
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise Stop(f"{text!r} is no time; write 2026-01-31T12:00:00Z, or 30m, 12h, 7d for ago") from None
    return milliseconds(parsed)


def milliseconds(time: datetime) -> int:
    """A time as milliseconds since 1970; UTC unless it says otherwise."""
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
