"""Who runs a command, as histories show it."""

import getpass
from collections.abc import Callable
from typing import TypeVar

import click

from unspool.eventstore.actors import MAX_REASON, Actor

CommandT = TypeVar("CommandT", bound=Callable[..., object])


def current_user() -> str:
    """Returns `cli:USER`, or `cli` if the user has no name, as in some containers."""
    try:
        return f"cli:{getpass.getuser()}"
    except (OSError, KeyError):
        return "cli"


def current_actor(reason: str | None = None) -> Actor:
    """Returns the user of this program, with a reason."""
    return Actor(current_user(), reason)


def reason_option(command: CommandT) -> CommandT:
    """Adds `--reason`."""
    return click.option(
        "--reason", metavar="TEXT", callback=_reason, help="Why; the history of the execution shows it."
    )(command)


def _reason(_context: click.Context, _option: click.Parameter, text: str | None) -> str | None:
    if text is not None and len(text) > MAX_REASON:
        raise click.BadParameter(f"at most {MAX_REASON} characters")
    return text or None
