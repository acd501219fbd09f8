"""Published events are in files before a bus deletes them, on every store."""

import asyncio
import json
from io import BufferedReader, BytesIO

import pytest

from unspool.eventstore.archive_lines import lines_of
from unspool.eventstore.consumers import WORKERS, Consumer
from unspool.eventstore.encryption.key_ring import new_key
from unspool.eventstore.encryption.payloads import payloads_of
from unspool.eventstore.event_bus import KEPT_EVENTS
from unspool.timer_service import RetentionService, RetentionSettings
from unspool.timer_service.event_archiving import SINK


def event(id_):
    return {"specversion": "1.0", "id": id_, "source": "/shop", "type": "paid", "data": {"n": id_}}


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "archive"


def service(store, directory):
    return RetentionService(store, RetentionSettings(archive=str(directory), interval_seconds=0.1))


def archived(directory, tenant="default"):
    """The archived events of a tenant, in the order of their files."""
    lines = [
        json.loads(line)
        for file in sorted(directory.glob(f"{tenant}/events/*/*.jsonl.gz"))
        for line in lines_of(BufferedReader(BytesIO(file.read_bytes())))
    ]
    assert {line["tenant"] for line in lines} <= {tenant}
    return {line["position"]: line["event"] for line in lines}


async def until(condition):
    async with asyncio.timeout(240):
        while not await condition():
            await asyncio.sleep(0.02)


async def matched(store):
    """Lets the bus delete what it does not keep."""
    worker = Consumer(WORKERS, "w1")
    while batch := await store.receive_events(worker, 500, 0):
        await store.match(batch, lambda shapes, event: [])


async def begun(store):
    """Whether the archive has a place on the buses."""
    return SINK in [sink.name for sink in await store.sinks()]


async def test_published_events_are_written_to_files(store, running, directory):
    async with running(service(store, directory)):
        await until(lambda: begun(store))
        for tenant, count in (("default", 5), ("other", 2)):
            await store.publish(tenant, [event(f"{tenant}-{n}") for n in range(count)])

        async def written():
            return (len(archived(directory)), len(archived(directory, "other"))) == (5, 2)

        await until(written)
    assert [*archived(directory).values()] == [event(f"default-{n}") for n in range(5)]
    published = await store.published_events("default", limit=10)
    assert {each.position: each.event for each in published} == archived(directory)


async def test_a_bus_keeps_events_until_they_are_written(store, running, directory):
    async with running(service(store, directory)):
        await until(lambda: begun(store))
    count = KEPT_EVENTS + 200
    for first in range(0, count, 100):
        await store.publish("default", [event(f"e{n}") for n in range(first, first + 100)])
    await matched(store)
    [status] = await store.sinks()
    assert (status.lag, status.dropped) == (count, 0)

    async with running(service(store, directory)):

        async def passed():
            [status] = await store.sinks()
            return status.lag == 0

        await until(passed)  # it is noted after the file is written
    assert {each["id"] for each in archived(directory).values()} == {f"e{n}" for n in range(count)}
    [status] = await store.sinks()
    assert (status.lag, status.sent) == (0, count)


async def test_events_wait_while_the_directory_cannot_be_written(store, running, directory):
    directory.write_text("a file")
    async with running(service(store, directory)):
        await until(lambda: begun(store))
        await store.publish("default", [event("e1")])
        directory.unlink()

        async def written():
            return [each["id"] for each in archived(directory).values()] == ["e1"]

        await until(written)


async def test_with_encryption_files_have_no_data(store, running, directory, tmp_path):
    (tmp_path / "keys").write_text(new_key("first"))
    payloads = payloads_of({"UNSPOOL_ENCRYPTION_KEYS_FILE": str(tmp_path / "keys")})
    settings = RetentionSettings(archive=str(directory), interval_seconds=0.1)
    async with running(RetentionService(store, settings, payloads=payloads)):
        await until(lambda: begun(store))
        await store.publish("default", [event("e1")])

        async def written():
            return len(archived(directory)) == 1

        await until(written)
    [sealed] = archived(directory).values()
    assert "data" not in sealed
    assert payloads.opened_published("default", sealed) == event("e1")
