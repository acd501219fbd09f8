"""`unspool doctor`: it finds what is wrong with a store and its services."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any

import pytest
from tests.background import repeating

from unspool.eventstore.consumers import (
    APIS,
    EXECUTORS,
    TIMERS,
    WORKERS,
    Capacity,
    Consumer,
    Load,
    PayloadKeys,
)
from unspool.eventstore.events import Event
from unspool.eventstore.opening import open_store
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import (
    Commit,
    ExecutionKey,
    IndexUpdate,
    Start,
    Status,
    TaskRequest,
    Timer,
    WorkflowRef,
)
from unspool.eventstore.sinks import SinkProgress

REF = WorkflowRef("shop", "order", "1.0.0")
SERVICES = [
    Consumer(WORKERS, "w1"),
    Consumer(WORKERS, "w2"),
    Consumer(TIMERS, "t1"),
    Consumer(TIMERS, "t2"),
    Consumer(EXECUTORS, "x1", frozenset({"http"})),
]


def told(result):
    """The findings, by what was checked."""
    found: dict[str, list[Any]] = {}
    for finding in result.json["findings"]:
        found.setdefault(finding["check"], []).append(finding)
    return found


@pytest.fixture
def diagnosed(unspool, store_url):
    """Prepares a store, lets services live, and calls the doctor."""

    def call(
        prepare: Callable[[EventStore], Awaitable[object]] | None = None,
        services: list[Consumer] = SERVICES,
        load: Load = Load.FREE,
        keys: Mapping[Consumer, PayloadKeys] = MappingProxyType({}),
    ) -> Any:
        """`keys` are further services, with what they tell of their keys."""

        async def work() -> Any:
            store = await open_store(store_url, {})
            try:
                if prepare is not None:
                    await prepare(store)
                await beat(store, services, load, keys)  # before the doctor looks
                async with repeating(alive(store, services, load, keys)):
                    return await asyncio.to_thread(unspool, "doctor", "--store", store_url, "--json")
            finally:
                await store.close()

        return asyncio.run(work())

    return call


async def alive(store, services, load, keys):
    while True:
        await beat(store, services, load, keys)
        await asyncio.sleep(0.2)


async def beat(store, services, load, keys):
    for service in services:
        await store.heartbeat(service, load, Capacity(1, 10))
    for service, told_keys in keys.items():
        await store.heartbeat(service, Load.BUSY, keys=told_keys)


async def start(store, id_="one"):
    key = ExecutionKey("default", id_)
    await store.start(Start(key, REF, {}, time.time_ns() // 1_000_000))
    return key


async def commit(store, **parts):
    key = await start(store)
    event = Event(1, "workflow.started", 0, None, None, {"input": {}})
    await store.commit(Commit(key=key, commit_id="c1", expected_version=0, events=(event,), **parts))


def test_a_deployment_that_works_is_fine(diagnosed):
    result = diagnosed()
    assert result.code == 0, result.stdout
    assert result.json["fine"]
    assert [each["service"] for each in result.json["items"]].count("worker") == 2
    assert result.json["store"]["version"]
    assert result.json["store"]["roundTripSeconds"] >= 0


def test_messages_without_a_worker(diagnosed):
    result = diagnosed(start, services=[])
    assert result.code == 1
    [finding] = told(result)["workers"]
    assert finding["level"] == "must"
    assert finding["problem"] == "no worker is alive, and 1 messages wait"
    assert "unspool worker" in finding["advice"]


def test_nothing_that_waits_needs_no_worker(diagnosed):
    result = diagnosed(services=[])
    assert result.code == 0
    assert {finding["level"] for finding in told(result)["workers"]} == {"should"}


def test_a_queue_without_executors(diagnosed):
    async def prepare(store):
        await commit(store, tasks=(TaskRequest("one", "r1", "/do/0/a", "shell", {}),))

    result = diagnosed(prepare)
    assert result.code == 1
    [finding] = told(result)["queues"]
    assert finding["problem"] == "1 tasks wait in the queue shell, which no executor serves"


def test_a_late_timer_without_a_timer_service(diagnosed):
    async def prepare(store):
        await commit(store, timers=(Timer("t1", 1_000),))

    result = diagnosed(prepare, services=SERVICES[:2])
    assert result.code == 1
    [finding] = told(result)["timers"]
    assert finding["problem"].startswith("no timer service is alive, and a timer is ")


def test_dead_letters(diagnosed):
    async def prepare(store):
        await start(store)
        [delivery] = await store.receive_messages(Consumer(WORKERS, "w1"), 1, 5)
        await store.move_to_dead_letters(delivery, "broken", "")

    result = diagnosed(prepare)
    assert result.code == 1
    [finding] = told(result)["dead letters"]
    assert finding["problem"].startswith("1 dead letters, ")
    assert "unspool dlq list" in finding["advice"]


def test_a_sink_that_fails(diagnosed):
    async def prepare(store):
        await store.keep_sinks(["http"])
        await store.publish("default", [{"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}])
        batch = await store.receive_for_sink(Consumer("senders", "s1"), "http", 10, 5)
        progress = SinkProgress("default", batch.after, batch.after, failure="answers 503")
        await store.record_progress(Consumer("senders", "s1"), "http", progress)

    result = diagnosed(prepare)
    assert result.code == 1
    [finding] = told(result)["sinks"]
    assert finding["problem"] == "the sink http fails: answers 503; 1 events wait for it"


def test_executions_that_are_not_deleted(diagnosed, monkeypatch, tmp_path):
    async def ended_long_ago(store):
        await commit(store, index=IndexUpdate(Status.COMPLETED, ended_at=1_700_000_000_000))

    (tmp_path / "file").write_text("")
    monkeypatch.setenv("UNSPOOL_ARCHIVE", str(tmp_path / "file" / "archive"))
    found = told(diagnosed(ended_long_ago))
    assert "hours ago" in found["retention"][0]["problem"]
    assert "Not a directory" in found["archive"][0]["problem"]
    monkeypatch.setenv("UNSPOOL_RETENTION", "forever")
    assert "retention" not in told(diagnosed())


def test_full_and_lonely_workers(diagnosed):
    result = diagnosed(services=SERVICES[1:], load=Load.FULL)
    problems = [finding["problem"] for finding in told(result)["workers"]]
    assert problems == [
        "all workers are full: expressions wait for processes of jq",
        "only one worker is alive",
    ]
    assert result.code == 0


def test_a_worker_that_lacks_a_key(diagnosed):
    """It says so, and does not count as full: no more processes of jq would help."""
    result = diagnosed(keys={Consumer(WORKERS, "w3"): PayloadKeys("new", ("new",), missing=("old",))})
    assert result.code == 1
    lacks, unknown, differ = told(result)["keys"]
    assert lacks["problem"].startswith("the worker w3 on ")
    assert "lacks the key 'old'" in lacks["problem"]
    assert "UNSPOOL_ENCRYPTION_KEYS_FILE" in lacks["advice"]
    assert unknown["problem"].startswith("services (5) do not have the key 'new', with which others encrypt")
    assert differ["problem"] == "services encrypt payloads with different keys: 5 with none, 1 with 'new'"
    assert "workers" not in told(result)
    [third] = [each for each in result.json["items"] if each["name"] == "w3"]
    assert third["missingKeys"] == ["old"]


def test_an_api_that_lacks_a_key_of_others(diagnosed):
    keys = {
        Consumer(WORKERS, "w3"): PayloadKeys("new", ("new", "old")),
        Consumer(WORKERS, "w4"): PayloadKeys("new", ("new",)),
        Consumer(APIS, "a1"): PayloadKeys("", ("old",)),
    }
    result = diagnosed(services=[], keys=keys)
    unknown = [each for each in told(result)["keys"] if "do not have" in each["problem"]]
    new, old = (each["problem"] for each in unknown)
    assert new.startswith(
        "services (1) do not have the key 'new', with which others encrypt payloads: the api a1"
    )
    assert old.startswith("services (1) do not have the key 'old', which others have: the worker w4")
    assert [each["level"] for each in unknown] == ["must", "should"]


def test_a_redis_that_can_lose_data(unspool, own_redis):
    with own_redis.admin as admin:
        admin.config_set("appendonly", "no")
        admin.config_set("maxmemory-policy", "volatile-lru")
        for number in range(1_000):
            admin.set(f"large{number}", b"x" * 20_000)
        admin.config_set("maxmemory", int(admin.info("memory")["used_memory"] * 1.05))
    result = unspool("doctor", "--store", own_redis.url, "--json")
    assert result.code == 1
    found = told(result)
    assert {finding["level"] for finding in found["persistence"] + found["eviction"]} == {"must"}
    assert "appendonly" in found["persistence"][0]["advice"]
    assert "noeviction" in found["eviction"][0]["advice"]
    [room] = [finding for finding in found["memory"] if finding["level"] == "must"]
    assert "it soon refuses writes" in room["problem"]


def test_a_service_with_another_clock(unspool, own_redis):
    now = time.time_ns() // 1_000_000
    process = ["1.0", "machine-7", 1, now]
    heartbeat = ["x-1", [], "free", process, [0, 0], now, now + 60_000]  # its clock, and that of Redis
    with own_redis.admin as admin:
        admin.hset("unspool:members:workers", "w9", json.dumps(heartbeat))
    [finding] = told(unspool("doctor", "--store", own_redis.url, "--json"))["clock"]
    assert "the worker w9 on machine-7 is 60 s behind" in finding["problem"]


def test_a_store_that_is_away_has_its_own_code(unspool, own_redis, monkeypatch):
    monkeypatch.setenv("UNSPOOL_REDIS_CONNECT_SECONDS", "0.5")
    own_redis.stop()
    result = unspool("doctor", "--store", own_redis.url)
    assert result.code == 5
    assert result.stderr


def test_a_file_that_does_not_exist_is_not_created(unspool, tmp_path):
    file = tmp_path / "wrong" / "unspool.db"
    result = unspool("doctor", "--store", f"sqlite:///{file}")
    assert result.code == 5
    assert f"{file} does not exist" in result.stderr
    assert not file.parent.exists()


def test_it_prints_tables_and_advice(unspool, store_url):
    unspool("executions", "list", "--store", store_url)  # creates the file
    result = unspool("doctor", "--store", store_url)
    assert result.code == 0
    assert "QUEUE" in result.stdout
    assert "should: no worker is alive; start `unspool worker`" in result.stdout
    assert "0 must change" in result.stdout


def test_it_shows_no_password(unspool, own_redis):
    url = own_redis.url.replace("://", "://:s3cret@")
    with own_redis.admin as admin:
        admin.config_set("requirepass", "s3cret")
    result = unspool("doctor", "--store", url, "--json")
    assert "s3cret" not in result.stdout + result.stderr
    assert json.loads(result.stdout)["store"]["url"].startswith("redis://***@")
