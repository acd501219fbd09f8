"""Reads files that the user names."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from types import FrameType
from typing import Final

from unspool.cli.exits import CommandError
from unspool.eventstore.regular_files import open_regular

MOST_BYTES: Final = 64 * 1024 * 1024
"""Bytes of a definition, an input or a file of events."""

_ALARM_SECONDS: Final = 0.1


def names_file(source: str, *suffixes: str) -> bool:
    """Whether an argument names a file, which mostly has one of these suffixes, rather than an id."""
    return source.endswith(suffixes) or os.sep in source or is_file(source)


def is_file(name: str) -> bool:
    """Whether there is a file with this name; a name that is too long has none."""
    return os.path.isfile(name)  # noqa: PTH113 - `Path.is_file` fails for such a name


def read_file(name: str) -> bytes:
    """Reads a file, or a pipe to its end; `-` is standard input.

    Raises:
        CommandError: it cannot be read, or has more than `MOST_BYTES`.
    """
    with opened_file(name) as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        source = "standard input" if name == "-" else name
        raise CommandError(f"{source}: larger than {MOST_BYTES} bytes")
    return content


@contextmanager
def opened_file(name: str, *, regular: bool = False) -> Iterator[BufferedReader]:
    """Opens a file to be read in the block; `-` is standard input. Ctrl-C ends a wait for a pipe at once.

    Args:
        name: the file.
        regular: whether a pipe or a device is refused.

    Raises:
        CommandError: it cannot be opened or read.
    """
    with _interruptible():
        try:
            if name == "-":
                yield _standard_input()
                return
            with open_regular(name) if regular else Path(name).open("rb") as file:
                yield file
        except OSError as error:
            raise CommandError(f"{name or '.'}: {error.strerror}") from None


def _standard_input() -> BufferedReader:
    assert isinstance(sys.stdin.buffer, BufferedReader)
    return sys.stdin.buffer


@contextmanager
def _interruptible() -> Iterator[None]:
    """Lets Ctrl-C end a read, also inside an event loop, which would wait for its end.

    A signal that comes just before a system call does not interrupt it, and Python notices the signal only
    when the call has returned. So an alarm interrupts calls that wait.

    Python allows this only in the main thread. Other threads do not get Ctrl-C.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous_interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)
    previous_alarm = signal.signal(signal.SIGALRM, _continue)
    previous_timer = signal.setitimer(signal.ITIMER_REAL, _ALARM_SECONDS, _ALARM_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *previous_timer)
        signal.signal(signal.SIGALRM, previous_alarm)
        signal.signal(signal.SIGINT, previous_interrupt)


def _continue(_number: int, _frame: FrameType | None) -> None:
    """Handles an alarm: Python repeats the interrupted call."""
