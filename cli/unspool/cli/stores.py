"""Chooses and opens the store of a command.

Without a named store, `unspool run` creates a file for each run. In a shared store, the worker of a run would
also process other executions. Commands about one execution find it by its id, in the embedded store or in the
file of its run.
"""

import os
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from unspool.cli.exits import CommandError
from unspool.cli.options import Place
from unspool.cli.output import say
from unspool.eventstore.errors import StoreMismatch, StoreUnavailable
from unspool.eventstore.ids import EXECUTION_ID
from unspool.eventstore.opening import STORE_VARIABLE, default_url, open_store
from unspool.eventstore.port import EventStore

_SQLITE: Final = "sqlite:///"

MAX_RUNS: Final = 50
"""The number of runs whose files are kept; older ones are deleted."""

_QUIET_SECONDS: Final = 60
"""A file without writes for this time belongs to an ended run, because a live one writes heartbeats."""


@asynccontextmanager
async def opened(
    url: str,
    environment: Mapping[str, str] = os.environ,
    *,
    create: bool = True,
    writable: bool = False,
    sealed: bool = False,
) -> AsyncIterator[EventStore]:
    """Opens a store with settings from the environment; closes it at the end.

    `create` says whether a SQLite file that does not exist is created, `writable` whether one that cannot be
    written is an error, as for services, and `sealed` whether encrypted payloads stay encrypted.

    Raises:
        StoreMismatch: the URL is not one of a store, or the store has another layout.
        StoreUnavailable: the store cannot be reached.
        BadSetting: a setting of the store is not valid.
    """
    try:
        store = await open_store(url, environment, create=create, writable=writable, sealed=sealed)
    except StoreMismatch as error:
        if url != environment.get(STORE_VARIABLE):
            raise
        raise StoreMismatch(f"{STORE_VARIABLE}: {error}") from error
    try:
        yield store
    finally:
        await store.close()


def store_url(place: Place) -> str:
    """Returns the URL of the store of a command."""
    return place.url or default_url(os.environ)


def url_of_execution(place: Place, execution: str) -> str:
    """Returns the URL of the store of an execution.

    Raises:
        CommandError: the id is malformed.
    """
    if not EXECUTION_ID.fullmatch(execution):
        raise CommandError(f"{execution!r} is not an execution's id")
    if place.url is None and (run := _run_file(execution)).exists():
        return _SQLITE + str(run)
    return store_url(place)


async def each_store(place: Place) -> AsyncGenerator[EventStore]:
    """Opens the store of a command, then the files of runs that can be opened, one at a time.

    Raises:
        StoreError: the command's store cannot be opened.
    """
    async with opened(store_url(place)) as store:
        yield store
    runs = [] if place.url else sorted(_runs_directory().glob("*.db"), reverse=True)
    for run in runs:
        try:
            async with opened(_SQLITE + str(run)) as store:
                yield store
        except (StoreMismatch, StoreUnavailable) as error:
            say(f"unspool: skipped {run}: {error}")


def url_for_run(place: Place, execution: str) -> str:
    """Returns the store URL for a new run: the named store, else a new file.

    Raises:
        StoreUnavailable: the directory for files of runs cannot be created.
    """
    if place.url:
        return place.url
    directory = _runs_directory()
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StoreUnavailable(f"{directory} cannot be created: {error.strerror}") from None
    _delete_old_runs(directory)
    return _SQLITE + str(_run_file(execution))


def _delete_old_runs(directory: Path) -> None:
    for old in sorted(directory.glob("*.db"), reverse=True)[MAX_RUNS - 1 :]:
        files = list(directory.glob(f"{old.name}*"))  # SQLite keeps two more files for an open one
        with suppress(FileNotFoundError):  # another process deletes them too
            if max(file.stat().st_mtime for file in files) < time.time() - _QUIET_SECONDS:
                for file in files:
                    file.unlink()


def _run_file(execution: str) -> Path:
    return _runs_directory() / f"{execution}.db"


def _runs_directory() -> Path:
    return Path(default_url(os.environ).removeprefix(_SQLITE)).parent / "runs"


def without_password(url: str) -> str:
    """Returns a store's URL with passwords masked."""
    if url.startswith("sqlite:"):
        return url
    return _PASSWORD.sub(r"\1***", _USER.sub("//***@", url))


_USER: Final = re.compile(r"//.*@")
_PASSWORD: Final = re.compile(r"(\bpassword=)[^&#]*", re.IGNORECASE)
