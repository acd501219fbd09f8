"""The program's exit codes (docs/reference/errors.md), and the message and code for each failure."""

import errno
import io
import os
import sys
import traceback
from enum import IntEnum
from typing import TYPE_CHECKING, Final

import click
from click.core import ParameterSource

from unspool.cli.terminal import printable
from unspool.eventstore.errors import CorruptHistory, KeyMissing, NotFound, StoreError
from unspool.eventstore.settings import BadSetting

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class Exit(IntEnum):
    """The exit codes; `MEANINGS` says when a command ends with them."""

    DONE = 0
    FAULTED = 1
    INVALID = 2
    CANCELLED = 3
    GAVE_UP = 4
    UNREACHABLE = 5
    BUG = 70


INTERRUPTED: Final = 128 + 2
"""The code that shells report for a program that Ctrl-C ended."""

BROKEN_PIPE: Final = 128 + 13
"""The code that shells report for a program whose reader closed the pipe (`unspool history ID | head`)."""


MEANINGS: Final[dict[int, tuple[str, str]]] = {
    Exit.DONE: ("success; for `run` and `start --wait`: the execution completed", ""),
    Exit.FAULTED: (
        "the execution faulted, a verified history differs, or `doctor` found what must change",
        "for an execution, the last line on standard error is its error, an RFC 7807 object as JSON",
    ),
    Exit.INVALID: (
        "bad usage; an invalid definition, input, setting or status; an unknown id; an unreadable file",
        "the message names the place and the cause",
    ),
    Exit.CANCELLED: ("the execution was cancelled", ""),
    Exit.GAVE_UP: (
        "the wait ended before the execution did: `--timeout`, or the execution is stuck",
        "`unspool executions why ID` says what it waits for",
    ),
    Exit.UNREACHABLE: (
        "the store cannot be reached, its URL is wrong, or it has another layout",
        "check `UNSPOOL_STORE`, then `unspool doctor`",
    ),
    Exit.BUG: (
        "a bug in Unspool",
        "report it, with the output of the same command with `UNSPOOL_DEBUG=1`",
    ),
    INTERRUPTED: ("Ctrl-C ended a command that has no other exit code for it", ""),
    BROKEN_PIPE: ("the reader of standard output closed the pipe, as `head` does", ""),
}
"""When a command ends with an exit code, and what to do then."""


class CommandError(Exception):
    """Ends a command with a message for the user and an exit code."""

    def __init__(self, message: str, code: Exit = Exit.INVALID) -> None:
        super().__init__(message)
        self.code = code


def report(error: BaseException) -> int:
    """Prints the failure on standard error and returns its exit code."""
    match error:
        case BaseExceptionGroup(exceptions=(first, *_)):  # services that failed together
            return report(first)
        case KeyboardInterrupt() | click.Abort():
            return INTERRUPTED
        case BrokenPipeError() | SystemExit(code=1):  # click raises the latter for a closed pipe
            _discard_output()
            return BROKEN_PIPE
        case click.BadParameter() if (variable := _variable_of(error)) is not None:
            click.echo(printable(f"unspool: {variable}: {error.message}"), err=True)
            return Exit.INVALID
        case click.ClickException():
            error.show()
            return Exit.INVALID
        case _:
            return _failure(error)


def _variable_of(error: click.BadParameter) -> str | None:
    """The variable of the environment that a wrong value of an option comes from."""
    option, context = error.param, error.ctx
    if option is None or context is None:
        return None
    if context.get_parameter_source(option.name) is not ParameterSource.ENVIRONMENT:
        return None
    return str(option.envvar)


def flush_output() -> None:
    """Writes all buffered output; after an error it discards the output, which Python would write at exit.

    Raises:
        BrokenPipeError: the reader closed the pipe.
        CommandError: standard output is closed, or cannot be written for another reason, such as a full disk.
    """
    try:
        sys.stdout.flush()
    except OSError as error:
        _discard_output()
        if isinstance(error, BrokenPipeError):
            raise
        raise _unwritable(error) from error
    except CommandError:
        _discard_output()
        raise


class StandardOutput(io.FileIO):
    """The file of standard output; its failures are told from those of other files.

    A buffer does not keep what is larger than itself, so a later flush would not fail.
    """

    def write(self, data: "ReadableBuffer", /) -> int:
        """Writes bytes, as the base class does.

        Raises:
            BrokenPipeError: the reader closed the pipe.
            CommandError: they cannot be written for another reason.
        """
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise _unwritable(error) from error


def _unwritable(error: OSError) -> CommandError:
    cause = "it is closed" if error.errno == errno.EBADF else error.strerror
    return CommandError(f"standard output cannot be written: {cause}")


def _discard_output() -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def _failure(error: BaseException) -> Exit:
    code = _code(error)
    if code is Exit.BUG:
        return _bug(error)
    click.echo(printable(f"unspool: {_cause(error)}"), err=True)
    return code


def _cause(error: BaseException) -> str:
    match error:
        case UnicodeEncodeError():
            return "an argument is not valid UTF-8"
        case OSError():
            return f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror)
        case _:
            return str(error)


def _code(error: BaseException) -> Exit:
    match error:
        case CommandError():
            return error.code
        case BadSetting() | NotFound() | CorruptHistory() | KeyMissing() | UnicodeEncodeError():
            return Exit.INVALID
        case StoreError():
            return Exit.UNREACHABLE
        case OSError(errno=errno.ENOSPC | errno.EIO | errno.EACCES | errno.EROFS | errno.EPERM):
            return Exit.INVALID
        case _:
            return Exit.BUG


def _bug(error: BaseException) -> Exit:
    if os.environ.get("UNSPOOL_DEBUG", "").lower() in {"1", "true", "yes", "on"}:
        click.echo("".join(traceback.format_exception(error)), err=True)
    click.echo(
        f"unspool: this is a bug in unspool: {type(error).__name__}: {error}\n"
        "Please report it, with the output of the same command with UNSPOOL_DEBUG=1.",
        err=True,
    )
    return Exit.BUG
