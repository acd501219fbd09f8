"""Which store a command works on, and opening it.

`unspool run` on the embedded store makes a file of its own for each run, so that it can neither meet nor
disturb other executions: the worker inside it would take up whatever waits in a store it shares. Commands
about one execution find it by its id, in the embedded store or in the file of its run.
"""

import os
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from unspool.cli.exits import Stop
from unspool.cli.options import Place
from unspool.cli.output import say
from unspool.eventstore.errors import StoreMismatch, StoreUnavailable
from unspool.eventstore.ids import EXECUTION_ID
from unspool.eventstore.opening import default_url, open_store
from unspool.eventstore.port import EventStore

_SQLITE: Final = "sqlite:///"

MOST_RUNS: Final = 50
"""Runs whose files are kept; the oldest go first."""

_QUIET_SECONDS: Final = 60
"""A file that was left alone for so long is of a run that has ended: a heartbeat is written there."""


@asynccontextmanager
async def opened(url: str, environment: Mapping[str, str] = os.environ) -> AsyncIterator[EventStore]:
    """An open store, closed in the end; its settings are read from the environment.

    Raises:
        StoreMismatch: the URL is none of a store, or the store was made with another layout.
        StoreUnavailable: it cannot be reached.
        BadSetting: a setting of the store is not what it must be.
    """
    store = await open_store(url, environment)
    try:
        yield store
    finally:
        await store.close()


def store_url(place: Place) -> str:
    """The store a command works on."""
    return place.url or default_url(os.environ)


def url_of_execution(place: Place, execution: str) -> str:
    """The store an execution is in.

    Raises:
        Stop: that can be no execution's id.
    """
    if not EXECUTION_ID.fullmatch(execution):
        raise Stop(f"{execution!r} is no execution's id")
    if place.url is None and (run := _run_file(execution)).exists():
        return _SQLITE + str(run)
    return store_url(place)


async def each_store(place: Place) -> AsyncGenerator[EventStore]:
    """Every store in which a command's executions may be, open; of runs those that can be opened.

    Raises:
        StoreError: the first one cannot be opened.
    """
    async with opened(store_url(place)) as store:
        yield store
    runs = [] if place.url else sorted(_runs_directory().glob("*.db"), reverse=True)
    for run in runs:
        try:
            async with opened(_SQLITE + str(run)) as store:
                yield store
        except (StoreMismatch, StoreUnavailable) as error:
            say(f"unspool: passed over {run}: {error}")


def url_for_run(place: Place, execution: str) -> str:
    """Where a new run works: on the store that was named, else in a file of its own."""
    if place.url:
        return place.url
    directory = _runs_directory()
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StoreUnavailable(f"{directory} cannot be made: {error.strerror}") from None
    _forget_old_runs(directory)
    return _SQLITE + str(_run_file(execution))


def _forget_old_runs(directory: Path) -> None:
    for old in sorted(directory.glob("*.db"), reverse=True)[MOST_RUNS - 1 :]:
        files = list(directory.glob(f"{old.name}*"))  # SQLite keeps two more beside an open one
        with suppress(FileNotFoundError):  # somebody else is at it too
            if max(file.stat().st_mtime for file in files) < time.time() - _QUIET_SECONDS:
                for file in files:
                    file.unlink()


def _run_file(execution: str) -> Path:
    return _runs_directory() / f"{execution}.db"


def _runs_directory() -> Path:
    return Path(default_url(os.environ).removeprefix(_SQLITE)).parent / "runs"


def without_password(url: str) -> str:
    """A store's URL as it may be shown."""
    if url.startswith("sqlite:"):
        return url
    return _PASSWORD.sub(r"\1***", _USER.sub("//***@", url))


_USER: Final = re.compile(r"//.*@")
_PASSWORD: Final = re.compile(r"(\bpassword=)[^&#]*", re.IGNORECASE)
