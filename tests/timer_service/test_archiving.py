"""The retention service with an archive: files are complete before executions are deleted."""

import asyncio
import gzip
import json
import logging
import stat
from io import BufferedReader, BytesIO

import pytest
from tests.monitoring.metrics import Exposition

from unspool.eventstore.archive_lines import lines_of
from unspool.eventstore.consumers import Consumer
from unspool.eventstore.errors import DamagedArchive
from unspool.eventstore.events import Event
from unspool.eventstore.monitoring.health import ServiceHealth
from unspool.eventstore.monitoring.metric_set import MetricSet
from unspool.eventstore.monitoring.monitor import Monitor
from unspool.eventstore.monitoring.settings import MonitoringSettings
from unspool.eventstore.records import (
    Commit,
    Definition,
    ExecutionKey,
    IndexUpdate,
    Parent,
    Start,
    Status,
    WorkflowRef,
)
from unspool.timer_service import RetentionService, RetentionSettings
from unspool.timer_service.prometheus_metrics import PrometheusRetentionMetrics

WORKFLOW = WorkflowRef("shop", "order", "1.0.0")
ENDED = 1_700_000_000_123
FILE = "default/2023-11-14/one.221320123.jsonl.gz"


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "archive" / "unspool"


@pytest.fixture
def service(store, directory):
    settings = RetentionSettings(archive=str(directory), interval_seconds=0.1)
    return RetentionService(store, settings)


def lines_in(data):
    """The lines of an archived file before the last one."""
    return list(lines_of(BufferedReader(BytesIO(data))))


async def ended(store, id_="one", count=3, tenant="default"):
    key = ExecutionKey(tenant, id_)
    await store.start(Start(key, WORKFLOW, {}, ENDED - 5_000, parent=Parent("top", "0/a", 1)))
    sha256 = await store.put_text(key, "text of a function")
    fetched = {"resource": "function https://example.com/f", "sha256": sha256}
    events = [Event(seq, "task.completed", ENDED, "/do/0/a", "0/a", {"n": seq}) for seq in range(1, count)]
    events.append(Event(count, "resource.fetched", ENDED, "/do/0/a", "0/a", fetched))
    for at in range(0, count, 500):
        some = tuple(events[at : at + 500])
        index = IndexUpdate(Status.FAULTED, ended_at=ENDED) if some[-1].seq == count else None
        commit = Commit(key=key, commit_id=f"c{at}", expected_version=at, events=some, index=index)
        await store.commit(commit)
    return key, sha256


async def until_gone(store, *keys):
    async with asyncio.timeout(240):
        for key in keys:
            while await store.execution(key) is not None:
                await asyncio.sleep(0.02)


async def test_a_file_has_the_history_and_what_a_replay_needs(store, service, running, directory):
    await store.put_definition("default", Definition(WORKFLOW, "text of the definition", 1))
    key, sha256 = await ended(store)
    async with running(service):
        await until_gone(store, key)

    content = gzip.decompress((directory / FILE).read_bytes())
    lines = [json.loads(line) for line in content.splitlines()]

    assert [line["seq"] for line in lines[:-1]] == [1, 2, 3]
    assert lines[0]["execution"] == {
        "archive": 1,
        "id": "one",
        "tenant": "default",
        "workflow": {"namespace": "shop", "name": "order", "version": "1.0.0"},
        "status": "faulted",
        "createdAt": "2023-11-14T22:13:15.123Z",
        "startedAt": None,
        "endedAt": "2023-11-14T22:13:20.123Z",
        "parent": {"execution": "top", "run": "0/a", "depth": 1},
        "definition": "text of the definition",
    }
    assert lines[-1]["end"]["events"] == 3
    assert lines[-1]["end"]["resources"] == {sha256: "text of a function"}
    assert lines_in((directory / FILE).read_bytes()) == content.splitlines()[:-1]


async def test_only_the_owner_reads_files(store, service, running, directory):
    keys = [(await ended(store, f"e{n}", tenant=tenant))[0] for n in range(3) for tenant in ("default", "b")]
    async with running(service):
        await until_gone(store, *keys)

    files = [path for path in directory.rglob("*") if path.is_file()]
    assert sorted(path.name[:2] for path in files) == ["e0", "e0", "e1", "e1", "e2", "e2"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.rglob("*") if path.is_dir()} == {0o700}


async def test_a_long_history(store, service, running, directory):
    key, _ = await ended(store, count=2_700)
    async with running(service):
        await until_gone(store, key)
    assert len(lines_in((directory / FILE).read_bytes())) == 2_700


async def test_nothing_is_deleted_while_the_directory_cannot_be_written(
    store, service, running, directory, caplog
):
    key, _ = await ended(store)
    directory.parent.write_text("a file")
    async with running(service), asyncio.timeout(240):
        while "archive_unavailable" not in {getattr(each, "action", "") for each in caplog.records}:
            await asyncio.sleep(0.02)
        assert str(directory) in caplog.text
        assert await store.execution(key) is not None

        directory.parent.unlink()
        await until_gone(store, key)
    assert (directory / FILE).exists()


async def test_a_directory_that_cannot_be_written_is_told(store, running, directory):
    """By readiness and metrics, until it can be written again."""
    key, _ = await ended(store)
    directory.parent.write_text("a file")
    metrics, health = MetricSet(), ServiceHealth("retention", joins=False)
    monitor = Monitor(store, MonitoringSettings())
    monitor.add(health)
    settings = RetentionSettings(archive=str(directory), interval_seconds=0.1)
    service = RetentionService(store, settings, PrometheusRetentionMetrics(metrics), health)

    def value(name):
        return Exposition(metrics.exposition()).value(f"unspool_retention_{name}")

    async with running(service), asyncio.timeout(240):
        while not value("failing"):
            await asyncio.sleep(0.02)
        assert value("behind_seconds") > 1e6
        [problem] = await monitor.not_ready()
        assert "cannot be archived" in problem
        assert str(directory) in problem
        assert await monitor.not_live() == []

        directory.parent.unlink()
        await until_gone(store, key)
        while value("failing"):
            await asyncio.sleep(0.02)
        assert await monitor.not_ready() == []
    await monitor.status.close()
    assert value("behind_seconds") == 0
    assert (value("deleted_total"), value("archived_total")) == (1, 1)


async def test_a_dead_letter_is_in_a_file_before_it_is_discarded(store, running, directory):
    await store.start(Start(ExecutionKey("default", "stuck"), WORKFLOW, {"n": 7}, ENDED))
    [delivery] = await store.receive_messages(Consumer("workers", "w1"), 1, 5)
    id_ = await store.move_to_dead_letters(delivery, "ValueError: broken", "Traceback: broken")
    settings = RetentionSettings(dead_letters="0s", archive=str(directory), interval_seconds=0.1)
    async with running(RetentionService(store, settings)), asyncio.timeout(240):
        while (await store.dead_letters("default")).items:
            await asyncio.sleep(0.02)

    [file] = (directory / "default" / "dead-letters").glob("*/*.jsonl.gz")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    [document] = lines_in(file.read_bytes())
    written = json.loads(document)
    assert (written["id"], written["execution"], written["kind"]) == (id_, "stuck", "message")
    assert written["body"]["body"]["input"] == {"n": 7}
    assert (written["error"], written["traceback"]) == ("ValueError: broken", "Traceback: broken")
    assert [path.name for path in directory.rglob(".*")] == []


async def test_an_execution_with_a_damaged_history_is_kept(store, service, running, directory, caplog):
    damaged, _ = await ended(store, "damaged", count=900)
    await store.trim_history(damaged, 600)
    whole, _ = await ended(store)
    with caplog.at_level(logging.ERROR):
        async with running(service):
            await until_gone(store, whole)
            async with asyncio.timeout(240):
                while "execution damaged is kept" not in caplog.text:
                    await asyncio.sleep(0.02)

    assert "the history has no event 1" in caplog.text
    assert await store.execution(damaged) is not None
    assert [path.name for path in directory.rglob("*.*") if path.is_file()] == [FILE.rpartition("/")[2]]


@pytest.fixture
async def archived(store, service, running, directory):
    key, _ = await ended(store)
    async with running(service):
        await until_gone(store, key)
    return (directory / FILE).read_bytes()


def changed(data, old, new):
    return gzip.compress(gzip.decompress(data).replace(old, new))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-20], "compressed data is damaged"),
        (lambda data: data[:30] + b"\0\0\0\0" + data[34:], "compressed data is damaged"),
        (lambda data: changed(data, b'"n":2', b'"n":3'), "do not match their checksum"),
        (lambda data: gzip.compress(b"\n".join(gzip.decompress(data).split(b"\n")[:-2])), "no last line"),
        (lambda data: gzip.compress(gzip.decompress(data).partition(b"\n")[2]), "do not match"),
        (lambda _: gzip.compress(b""), "no last line"),
        (lambda _: gzip.compress(b'{"end": 5}\n'), "no last line"),
    ],
)
def test_a_damaged_file(archived, damage, message):
    with pytest.raises(DamagedArchive, match=message):
        lines_in(damage(archived))
