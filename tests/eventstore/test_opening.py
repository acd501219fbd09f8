"""Store URLs, the default one, and which adapter they choose."""

import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from unspool.eventstore.errors import StoreMismatch, StoreUnavailable
from unspool.eventstore.opening import default_url, open_store
from unspool.eventstore.settings import BadSetting


@asynccontextmanager
async def opened(url, environment):
    store = await open_store(url, environment)
    try:
        yield store
    finally:
        await store.close()


async def test_a_file_keeps_the_data_of_a_closed_store(tmp_path, make):
    url = f"sqlite:///{tmp_path}/deep/er/store.db"
    async with opened(url, {}) as first:
        await first.start(make.start())

    async with opened(url, {"UNSPOOL_SQLITE_SYNCHRONOUS": "normal"}) as second:
        assert (await second.execution(make.key())).pending_input == {"amount": 3}


async def test_a_relative_path_is_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    store = await open_store("sqlite:///here.db", {})
    await store.close()

    assert (tmp_path / "here.db").exists()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "SQLITE://"])
async def test_stores_in_memory_are_separate(url, make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    async with opened(url, {}) as one, opened(url, {}) as two:
        await one.start(make.start())

        assert await two.execution(make.key()) is None
    assert not [*tmp_path.iterdir()]


async def test_redis(redis_database, make):
    async with opened(redis_database, {}) as store:
        await store.start(make.start())

        assert await store.execution(make.key()) is not None


@pytest.mark.parametrize(
    "url", ["", "store.db", "mysql://h/d", "postgresql://h/d", "redis+cluster://h", "http://h"]
)
async def test_an_unknown_scheme_is_an_error_that_lists_the_supported_ones(url):
    with pytest.raises(StoreMismatch, match=r"sqlite:///PATH.*redis://"):
        await open_store(url, {})


@pytest.mark.parametrize(
    "url", ["sqlite:", "sqlite:/a", "sqlite:store.db", "sqlite://host/path", "sqlite://store.db"]
)
async def test_a_file_needs_three_slashes(url):
    with pytest.raises(StoreMismatch, match="sqlite:///PATH"):
        await open_store(url, {})


@pytest.mark.parametrize("host", ["[x", "x[0]", "\u2100"])
async def test_an_address_of_redis_with_a_bad_host_is_an_error_without_the_password(host):
    with pytest.raises(StoreMismatch, match="not the URL of a Redis store") as refused:
        await open_store(f"redis://:s3cret@{host}/0", {})
    assert "s3cret" not in str(refused.value)


async def test_a_bad_setting_names_its_variable(tmp_path):
    for environment in ({"UNSPOOL_SQLITE_SYNCHRONOUS": "off"}, {"UNSPOOL_SQLITE_BUSY_SECONDS": "soon"}):
        with pytest.raises(BadSetting, match=next(iter(environment))):
            await open_store(f"sqlite:///{tmp_path}/s.db", environment)


async def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()

    for path in (f"{tmp_path}/file/store.db", f"{tmp_path}", "/proc/store.db"):
        with pytest.raises(StoreUnavailable, match=path):
            await open_store(f"sqlite:///{path}", {})


def test_the_default_is_the_setting_then_the_data_directory():
    assert default_url({"UNSPOOL_STORE": "redis://h/1", "HOME": "/h"}) == "redis://h/1"
    assert default_url({"XDG_DATA_HOME": "/data", "HOME": "/h"}) == "sqlite:////data/unspool/unspool.db"
    assert default_url({"HOME": "/h"}) == "sqlite:////h/.local/share/unspool/unspool.db"
    assert default_url({"UNSPOOL_STORE": "", "XDG_DATA_HOME": "relative", "HOME": "/h"}) == default_url(
        {"HOME": "/h"}
    )
    assert default_url({}) == f"sqlite:///{Path.home()}/.local/share/unspool/unspool.db"


def test_adapters_are_imported_when_needed():
    code = "import sys, unspool.eventstore.opening; print(*sys.modules)"

    modules = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()

    assert not {"redis", "sqlite3"} & {*modules}
