"""Opens the store of a URL with its adapter."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from unspool.eventstore.encryption.payloads import payloads_of
from unspool.eventstore.encryption.store import EncryptedStore
from unspool.eventstore.errors import StoreMismatch, StoreUnavailable
from unspool.eventstore.event_settings import EventSettings
from unspool.eventstore.port import EventStore
from unspool.eventstore.settings import from_environment

STORE_VARIABLE: Final = "UNSPOOL_STORE"
"""The environment variable with the default store URL."""

SUPPORTED: Final = "sqlite:///PATH, sqlite:// (in memory), redis://HOST:PORT/DB, rediss://HOST:PORT/DB"


def default_url(environment: Mapping[str, str]) -> str:
    """The default store URL: `UNSPOOL_STORE`, else a SQLite file in the user's data directory.

    The directory follows the XDG Base Directory Specification.
    """
    return environment.get(STORE_VARIABLE) or f"sqlite:///{_data_directory(environment) / 'unspool.db'}"


async def open_store(
    url: str,
    environment: Mapping[str, str],
    *,
    create: bool = True,
    writable: bool = False,
    sealed: bool = False,
) -> EventStore:
    """Opens the store of a URL. The caller closes it.

    Args:
        url: in `sqlite:///PATH`, an absolute PATH makes four slashes. `sqlite://` opens a new store in
            memory.
        environment: the adapter's settings.
        create: whether a SQLite file that does not exist is created.
        writable: whether a SQLite file that cannot be written is an error.
        sealed: whether encrypted payloads stay encrypted, to see which keys they need.

    Raises:
        StoreMismatch: there is no adapter for the URL, or the store has another layout.
        StoreUnavailable: the store cannot be reached, does not exist and must not be created, or cannot be
            written.
        BadSetting: a setting is not valid.
    """
    scheme, colon, _ = url.lower().partition(":")
    if not colon:
        raise StoreMismatch(f"{url!r} is not the URL of a store; supported are {SUPPORTED}")
    if scheme not in _ADAPTERS:
        raise StoreMismatch(f"no store for URLs of scheme {scheme!r}; supported are {SUPPORTED}")
    if not create and scheme == "sqlite":
        _check_exists(_sqlite_path(url))
    if writable and scheme == "sqlite":
        _check_writable(_sqlite_path(url))
    adapter = _ADAPTERS[scheme](url, environment)
    store = adapter if sealed else EncryptedStore(adapter, payloads_of(environment))
    await store.open()
    return store


# Adapters are imported on demand, because they import their drivers.


def _sqlite(url: str, environment: Mapping[str, str]) -> EventStore:
    from unspool.eventstore.sqlite.settings import SqliteSettings  # noqa: PLC0415 - see above
    from unspool.eventstore.sqlite.store import SqliteStore  # noqa: PLC0415 - see above

    settings = from_environment(SqliteSettings, environment)
    return SqliteStore(_sqlite_path(url), settings, events=from_environment(EventSettings, environment))


def _redis(url: str, environment: Mapping[str, str]) -> EventStore:
    from unspool.eventstore.redis.settings import RedisSettings  # noqa: PLC0415 - see above
    from unspool.eventstore.redis.store import RedisStore  # noqa: PLC0415 - see above

    settings = from_environment(RedisSettings, environment)
    return RedisStore(url, settings, events=from_environment(EventSettings, environment))


_ADAPTERS: Final[dict[str, Callable[[str, Mapping[str, str]], EventStore]]] = {
    "sqlite": _sqlite,
    "redis": _redis,
    "rediss": _redis,
}


def _sqlite_path(url: str) -> Path | None:
    """The file a `sqlite:` URL names; None for memory."""
    slashes, path = url[7:10], url[10:]
    if url[7:] == "//" or (slashes == "///" and path in {"", ":memory:"}):
        return None
    if slashes != "///":
        raise StoreMismatch(f"{url!r} names no file: write sqlite:///PATH, or sqlite:// for memory")
    return Path(path)


def _check_exists(path: Path | None) -> None:
    """Raises `StoreUnavailable` if there is no file."""
    if path is not None and not path.exists():
        raise StoreUnavailable(f"{path} does not exist")


def _check_writable(path: Path | None) -> None:
    """Raises `StoreUnavailable` if there is a file that this process cannot write."""
    from unspool.eventstore.sqlite.file import unwritable_files  # noqa: PLC0415 - see above

    for file in () if path is None else unwritable_files(path):
        raise StoreUnavailable(f"{file} cannot be written")


def _data_directory(environment: Mapping[str, str]) -> Path:
    base = Path(environment.get("XDG_DATA_HOME", ""))
    if not base.is_absolute():  # the specification ignores relative paths
        try:
            base = Path(environment.get("HOME") or Path.home()) / ".local" / "share"
        except RuntimeError:
            raise StoreMismatch(f"there is no home directory for a store; set {STORE_VARIABLE}") from None
    return base / "unspool"
