"""What a process tells of itself in its heartbeats."""

import os
import socket
import time
from functools import cache
from typing import NamedTuple

from unspool.definitions.release_level import LEVEL


class Process(NamedTuple):
    """A process of a service."""

    version: str
    """Of Unspool."""
    host: str
    pid: int
    started_at: int
    """Milliseconds since 1970, by the clock of its machine."""
    level: int = 0
    """The features of definitions that it knows (`unspool.definitions.feature_levels`)."""


@cache
def this_process() -> Process:
    """Returns what this process tells of itself. It has started when this is called first."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - slow to import

    try:
        release = version("unspool")
    except PackageNotFoundError:  # it runs from a directory, without an installation
        release = ""
    return Process(release, socket.gethostname(), os.getpid(), time.time_ns() // 1_000_000, LEVEL)
