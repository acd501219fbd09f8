"""Options that commands share, and parsers for their values."""

import functools
import math
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, TypeVar

import click
from click.core import ParameterSource

from unspool.cli.exits import CommandError
from unspool.cli.files import read_file
from unspool.definitions.json_value import Json
from unspool.eventstore import ids, strict_json
from unspool.eventstore.records import DEFAULT_TENANT
from unspool.eventstore.tags import BadTags, checked_tags

CommandT = TypeVar("CommandT", bound=Callable[..., Any])
Result = TypeVar("Result")

STORED_LEVELS: Final = 254
"""Levels of nesting of what a store has: it can be deeper than input from outside. This is orjson's limit."""

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Place(NamedTuple):
    """The store and the tenant that a command works on."""

    url: str | None
    """The store's URL; None if the user gave none."""
    tenant: str
    api: str | None = None
    """The address of the API to work on instead of a store."""


def example(*lines: str) -> str:
    """Returns the text at the end of a command's help."""
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


def _checked_tenant(_context: click.Context, _option: click.Parameter, name: str) -> str:
    if not ids.TENANT.fullmatch(name):
        raise click.BadParameter(f"a tenant must match {ids.TENANT.pattern}")
    return name


_tenant_option = click.option(
    "--tenant",
    envvar="UNSPOOL_TENANT",
    default=DEFAULT_TENANT,
    show_default=True,
    callback=_checked_tenant,
    help="Tenant of the definitions and executions.",
)


def place_options(command: Callable[..., Result]) -> Callable[..., Result]:
    """Adds `--store` and `--tenant`; the command receives them as `place`, a `Place`."""

    @store_option
    @_tenant_option
    @functools.wraps(command)
    def placed(*args: object, url: str | None, tenant: str, **options: object) -> Result:
        return command(*args, place=Place(url, tenant), **options)

    return placed


def target_options(command: Callable[..., Result]) -> Callable[..., Result]:
    """Adds `--store`, `--api` and `--tenant`; the command receives them as `place`, a `Place`."""

    @store_option
    @_api_option()
    @_tenant_option
    @functools.wraps(command)
    def placed(*args: object, url: str | None, api: str | None, tenant: str, **options: object) -> Result:
        return command(*args, place=_place(url, api, tenant), **options)

    return placed


def no_api_option(command: Callable[..., Result]) -> Callable[..., Result]:
    """Makes a command that needs a store refuse `--api`, and UNSPOOL_API if no store is named."""

    @_api_option(hidden=True)
    @functools.wraps(command)
    def on_store(*args: object, api: str | None, **options: object) -> Result:
        place = options.get("place")
        url = place.url if isinstance(place, Place) else options.get("url")
        if api is not None and (url is None or _given("api")):
            raise click.UsageError("this command needs a store; it does not work on an API. Give --store")
        return command(*args, **options)

    return on_store


def _checked_address(_context: click.Context, _option: click.Parameter, url: str | None) -> str | None:
    if url and not url.lower().startswith(("http://", "https://")):
        raise click.BadParameter("the address of the API must begin with http:// or https://")
    return url or None


def _api_option(*, hidden: bool = False) -> Callable[[CommandT], CommandT]:
    return click.option(
        "--api",
        envvar="UNSPOOL_API",
        metavar="URL",
        hidden=hidden,
        callback=_checked_address,
        help="Work on the API at this address, not on a store, with the key in UNSPOOL_TOKEN; "
        "default: UNSPOOL_API.",
    )


def _place(url: str | None, api: str | None, tenant: str) -> Place:
    """Chooses between a store and an API: an option comes before the environment, where the API is first."""
    if url is not None and api is not None:
        if _given("url") and _given("api"):
            raise click.UsageError("give --store or --api, not both")
        if _given("url"):
            api = None
    return Place(None if api is not None else url, tenant, api)


def _given(name: str) -> bool:
    """Whether an option is on the command line, rather than in the environment."""
    return click.get_current_context().get_parameter_source(name) is ParameterSource.COMMANDLINE


class Seconds(click.FloatRange):
    """A time; one that is not a number is less and more than no bound."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Reads a number of seconds."""
        seconds = float(super().convert(value, param, ctx))
        if math.isnan(seconds):
            self.fail(f"{value!r} is not a number of seconds.", param, ctx)
        return seconds


def store_option(command: CommandT) -> CommandT:
    """Adds `--store`."""
    return click.option(
        "--store",
        "url",
        envvar="UNSPOOL_STORE",
        metavar="URL",
        callback=lambda _context, _option, url: url or None,
        help="Event store, such as redis://HOST:PORT/DB or sqlite:///PATH; default: UNSPOOL_STORE, "
        "else a file in your data directory.",
    )(command)


_EVERYTHING: Final = "shell,script,container"
_ALLOWING: Final = ("UNSPOOL_ALLOW", "UNSPOOL_ALLOW_SHELL")


def allow_option(*, everything: bool) -> Callable[[CommandT], CommandT]:
    """Adds `--allow`; the command receives None if the settings say what is allowed.

    Args:
        everything: whether all is allowed where neither the option nor a setting says it, as in programs for
            the author's own machine.
    """
    default = "all" if everything else "none"
    return click.option(
        "--allow",
        metavar="LIST",
        callback=_allowed_or_everything if everything else _allowed,
        help=f"What `run` tasks may run: shell, script, container, or none; default: UNSPOOL_ALLOW, else "
        f"{default}.",
    )


def _allowed_or_everything(context: click.Context, option: click.Parameter, text: str | None) -> str | None:
    if text is None and not any(map(os.environ.get, _ALLOWING)):
        return _EVERYTHING
    return _allowed(context, option, text)


def _allowed(_context: click.Context, _option: click.Parameter, text: str | None) -> str | None:
    from unspool.executor.runs.permission import (  # noqa: PLC0415 - few commands run tasks
        UnknownKind,
        parsed,
    )

    try:
        return None if text is None else ",".join(sorted(parsed(text)))
    except UnknownKind as error:
        raise click.BadParameter(str(error)) from None


class Extensions(NamedTuple):
    """What the user adds to an executor."""

    functions: tuple[str, ...]
    """Modules and files with functions in Python."""
    tasks: tuple[str, ...]
    """Names of kinds of calls from installed packages."""


def functions_option(command: Callable[..., Result]) -> Callable[..., Result]:
    """Adds `--functions` and `--tasks`; the command receives them as `functions`, `Extensions`."""

    @click.option(
        "--functions",
        "modules",
        multiple=True,
        metavar="MODULE",
        help="Module or file with functions in Python (repeatable); default: UNSPOOL_FUNCTIONS.",
    )
    @click.option(
        "--tasks",
        "kinds",
        multiple=True,
        metavar="NAME",
        help="Kind of call from an installed package (repeatable); default: UNSPOOL_TASKS.",
    )
    @functools.wraps(command)
    def extended(
        *args: object, modules: tuple[str, ...], kinds: tuple[str, ...], **options: object
    ) -> Result:
        return command(*args, functions=Extensions(modules, kinds), **options)

    return extended


def _tags(_context: click.Context, _option: click.Parameter, texts: tuple[str, ...]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    if any(not equals for _, equals, _ in pairs):
        raise click.BadParameter("a tag must be NAME=VALUE")
    try:
        return checked_tags({name: value for name, _, value in pairs})
    except BadTags as error:
        raise click.BadParameter(str(error)) from None


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


tag_option = click.option(
    "--tag",
    "tags",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_tags,
    help="Tag of the execution, to search by (repeatable).",
)


def read_input(text: str) -> Json:
    """Returns the value of `--input`.

    Raises:
        CommandError: the file cannot be read, or the text is not JSON.
    """
    if text == "-":
        return parse_json(read_file("-"), "standard input")
    if text.startswith("@"):
        return parse_json(read_file(text[1:]), text[1:])
    return parse_json(os.fsencode(text), "--input")


def parse_json(text: bytes, source: str, levels: int = strict_json.MAX_DEPTH) -> Json:
    """Parses a JSON text.

    Raises:
        CommandError: it is not JSON, or cannot be stored unchanged.
    """
    try:
        return strict_json.parse(text, levels)
    except strict_json.BadJson as error:
        raise CommandError(f"{source} {error}") from None


def workflow_name(text: str) -> tuple[str, str]:
    """Splits `NAMESPACE/NAME`.

    Raises:
        CommandError: the text has another form.
    """
    named = ids.workflow_name(text)
    if named is None:
        raise CommandError(f"{text!r} is not a workflow; write NAMESPACE/NAME")
    return named


def timestamp(text: str, now: int, *, future: bool = False) -> int:
    """Parses RFC 3339 (`2026-01-31T12:00:00Z`) or a span (`30m`, `12h`, `7d`).

    A span is one before now, with `future` one after it. Returns milliseconds since 1970.

    Raises:
        CommandError: the text has neither form.
    """
    if re.fullmatch(r"[0-9]{1,9}[smhd]", text):
        milliseconds_ = int(text[:-1]) * _UNITS[text[-1]] * 1000
        return now + milliseconds_ if future else now - milliseconds_
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        span = "a time from now" if future else "an age"
        raise CommandError(
            f"{text!r} is not a time; write 2026-01-31T12:00:00Z, or {span} such as 30m, 12h, 7d"
        ) from None
    return milliseconds(parsed)


def milliseconds(time: datetime) -> int:
    """Returns a time as milliseconds since 1970; without a zone it is UTC."""
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
