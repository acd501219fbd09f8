"""Services on a store with encrypted payloads: nothing that was ever written has a payload."""

import asyncio
import gzip
import json
import logging
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from tests.api.store_contents import everything_in

from unspool.cli.logs import JsonFormatter, PlainFormatter
from unspool.cli.node import Node
from unspool.client import AsyncClient, Unavailable
from unspool.eventstore.clock import SystemClock
from unspool.eventstore.encryption.key_ring import new_key
from unspool.eventstore.encryption.payloads import payloads_of
from unspool.eventstore.opening import open_store
from unspool.eventstore.records import ExecutionKey, TaskRequest
from unspool.executor.outcome import Outcome
from unspool.executor.service import ExecutorService
from unspool.executor.settings import ExecutorSettings
from unspool.executor.task_context import TaskContext
from unspool.timer_service import RetentionService, RetentionSettings

MAIN = """\
document:
  dsl: '1.0.3'
  namespace: test
  name: main
  version: '1.0.0'
  metadata: {unspool: {tags: {order: '${ $workflow.input.order }'}, idempotencyKey: '${ .word }'}}
do:
  - keep: {set: {word: '${ .word }', wait: true}, export: {as: .}}
  - echo: {call: http, with: {method: post, endpoint: URL/echo, body: '${ {word: $context.word} }'}}
  - failing:
      try:
        - fail: {raise: {error: {type: 'https://example.com/e', status: 400, detail: '${ $context.word }'}}}
      catch:
        retry: {delay: {milliseconds: 50}, limit: {attempt: {count: 1}}}
        as: error
        do: [{caught: {set: {detail: '${ $error.detail }'}}}]
  - nap: {wait: {milliseconds: 50}}
  - child: {run: {workflow: {namespace: test, name: child, version: '1.0.0', input: {word: '${ $context.word }'}}}}
  - both:
      fork:
        branches:
          - hear: {listen: {to: {one: {with: {type: test.heard, subject: '${ $context.word }'}}}}}
          - tell:
              do:
                - pause: {wait: {milliseconds: 200}}
                - emit:
                    emit:
                      event:
                        with: {source: 'urn:test', type: test.heard, subject: '${ $context.word }', data: {word: '${ $context.word }'}}
  - function: {call: 'URL/function.yaml', with: {word: '${ $context.word }'}}
  - last: {set: {result: '${ $context.word }'}}
"""  # noqa: E501 - tasks of a few long lines

CHILD = """\
document: {dsl: '1.0.3', namespace: test, name: child, version: '1.0.0'}
do:
  - keep: {set: {word: '${ .word }'}}
  - nap: {wait: {milliseconds: 50}}
  - back: {set: {word: '${ .word }'}}
"""

BROKEN = """\
document: {dsl: '1.0.3', namespace: test, name: broken, version: '1.0.0'}
do:
  - send: {call: http, with: {method: post, endpoint: 'http://localhost', body: '${ .word }'}}
"""

FUNCTION = """\
call: http
with: {method: post, endpoint: URL/echo, body: 'WORD ${ .word }'}
"""

SCHEDULED = """\
document: {dsl: '1.0.3', namespace: test, name: scheduled, version: '1.0.0'}
schedule: {on: {one: {with: {type: test.heard}}}}
do:
  - keep: {set: {word: '${ .[0].data.word }'}}
"""


@pytest.fixture
def word() -> str:
    """What is in all payloads."""
    return f"Canary{uuid.uuid4().hex}"


@pytest.fixture(params=["sqlite", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Any) -> str:
    """The URL of an empty store of each kind."""
    if request.param == "redis":
        return str(request.getfixturevalue("redis_database"))
    (tmp_path / "data").mkdir()
    return f"sqlite:///{tmp_path}/data/store.db"


@pytest.fixture
def environment(tmp_path: Any) -> dict[str, str]:
    (tmp_path / "keys").write_text(new_key("first"))
    return {"UNSPOOL_ENCRYPTION_KEYS_FILE": str(tmp_path / "keys"), "UNSPOOL_SNAPSHOT_EVERY": "5"}


@pytest.fixture
async def server(word: str) -> AsyncIterator[str]:
    """Echoes bodies, and has a function."""

    async def handle(request: web.Request) -> web.Response:
        if request.path == "/function.yaml":
            return web.Response(text=FUNCTION.replace("URL", url).replace("WORD", word))
        return web.json_response({"echo": (await request.text())})

    runner = web.ServerRunner(web.Server(handle, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield url
    await runner.cleanup()


async def broken(request: TaskRequest, _: TaskContext) -> Outcome:
    """A handler with a bug."""
    raise RuntimeError(f"cannot send {request.arguments}")


async def test_nothing_in_the_store_has_a_payload(
    url: str, environment: dict[str, str], word: str, server: str, running_api: Any, tmp_path: Any,
    redis_server: Any, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    store = await open_store(url, environment)
    async with running_api(store) as api:
        for text in (MAIN, CHILD, BROKEN, SCHEDULED):
            await api.deploy(text.replace("URL", server))
        async with Node(store, url, environment=environment):
            body = {"input": {"word": word, "order": "A-1"}}
            run = await api.post("/workflows/test/main/executions?wait=90", 200, json=body)
            assert run["status"] == "completed", run
            assert run["output"] == {"result": word}
            assert (await api.get("/executions?tag=order:A-1"))["items"][0]["input"]["word"] == word
            await ended(api, "test/scheduled")
            [child] = (await api.get(f"/executions?parent={run['id']}"))["items"]
        letter = await dead_letter(api, store, url, environment, word)
        assert word in letter["error"] + letter["traceback"]
        await api.post(f"/executions/{letter['execution']}/cancel", 202, json={"reason": word})
    written = everything_in(url, tmp_path) + everything_written(url, redis_server)
    assert b"test.heard" in written
    assert word.encode() not in written

    key = ExecutionKey("default", child["id"])
    archive = RetentionSettings(
        rules="0s", dead_letters="0s", archive=str(tmp_path / "archive"), interval_seconds=0.1
    )
    async with retention(RetentionService(store, archive, payloads=payloads_of(environment))):
        async with asyncio.timeout(120):
            while await store.execution(key) or "dead_letter_expired" not in actions(caplog):
                await asyncio.sleep(0.05)
    assert (await store.dead_letters("default")).items == ()
    files = list((tmp_path / "archive").rglob(f"{child['id']}.*"))
    lines = gzip.decompress(files[0].read_bytes())
    assert b"workflow.completed" in lines
    assert word.encode() not in lines
    [letters] = (tmp_path / "archive").rglob("dead-letters/*/*")
    assert b"traceback" in (document := gzip.decompress(letters.read_bytes()))
    assert word.encode() not in document
    assert word.encode() not in everything_in(url, tmp_path)
    await store.close()

    assert "task_failed" in actions(caplog)
    for formatter in (JsonFormatter(), PlainFormatter()):
        assert word not in "\n".join(map(formatter.format, caplog.records))


def actions(caplog: pytest.LogCaptureFixture) -> set[str]:
    """The actions in the log."""
    return {getattr(record, "action", "") for record in caplog.records}


async def ended(api: Any, workflow: str) -> None:
    """Waits until an execution of a workflow has completed."""
    async with asyncio.timeout(120):
        while not (await api.get(f"/executions?workflow={workflow}&status=completed"))["items"]:
            await asyncio.sleep(0.05)


async def dead_letter(api: Any, store: Any, url: str, environment: dict[str, str], word: str) -> Any:
    """Makes a dead letter and returns it."""
    executor = ExecutorService(store, {"http": broken}, ExecutorSettings(), "x1", SystemClock())
    running = asyncio.create_task(executor.run())
    async with Node(store, url, environment=environment, services=("worker",)):
        run = await api.post("/workflows/test/broken/executions", 202, json={"input": {"word": word}})
        async with asyncio.timeout(120):
            while not (items := (await api.get(f"/dlq?execution={run['id']}"))["items"]):
                await asyncio.sleep(0.05)
        letter = await api.get(f"/dlq/{items[0]['id']}")
    executor.stop()
    await running
    return letter


def everything_written(url: str, server: Any) -> bytes:
    """What was ever written to Redis: its log of changes."""
    if not url.startswith("redis"):
        return b""
    return b"".join(file.read_bytes() for file in server.folder.rglob("appendonly*") if file.is_file())


@asynccontextmanager
async def retention(service: RetentionService) -> AsyncIterator[None]:
    running = asyncio.create_task(service.run())
    yield
    service.stop()
    await running


async def test_a_worker_without_the_key_fails_nothing(
    url: str, environment: dict[str, str], running_api: Any
) -> None:
    """The start waits until there is a worker that has the key; the worker without it says why."""
    store = await open_store(url, environment)
    async with running_api(store) as api:
        await api.deploy(CHILD)
        run = await api.post("/workflows/test/child/executions", 202, json={"input": {"word": "x"}})
        locked = await open_store(url, {})
        async with Node(locked, url, environment={}, services=("worker",)):
            async with asyncio.timeout(60):
                while locked.missing_keys() != ["first"]:
                    await asyncio.sleep(0.05)
            assert (await api.get(f"/executions/{run['id']}"))["status"] == "pending"
            async with Node(store, url, environment=environment):
                await ended(api, "test/child")
        await locked.close()
        assert (await api.get("/dlq"))["items"] == []
        shown = await api.get(f"/executions/{run['id']}")
        assert shown["output"] == {"word": "x"}
    await store.close()


async def test_views_without_the_key_say_which_is_missing(
    url: str, environment: dict[str, str], running_api: Any
) -> None:
    store = await open_store(url, environment)
    async with running_api(store) as api:
        await api.deploy(CHILD)
        run = await api.post("/workflows/test/child/executions", 202, json={"input": {"word": "x"}})
    await store.close()
    locked = await open_store(url, {})
    async with running_api(locked) as api:
        problem = await api.get(f"/executions/{run['id']}", 503)
        assert problem["detail"] == (
            f"the input of {run['id']} is encrypted with the key 'first': "
            "UNSPOOL_ENCRYPTION_KEYS_FILE is not set"
        )
        await api.get(f"/executions/{run['id']}/events/stream", 503)
        await api.get(f"/executions/{run['id']}/why", 503)
        await api.post(f"/executions/{run['id']}/cancel", 503)
        assert (await api.get("//health/ready"))["status"] == "ready"
    await locked.close()
    store = await open_store(url, environment)
    async with running_api(store) as api, Node(store, url, environment=environment):
        shown = await api.get(f"/executions/{run['id']}?wait=60")
        assert shown["status"] == "completed", "an operation that was refused has no effect"
    await store.close()


async def test_what_a_worker_with_a_key_writes_ends_a_stream_with_an_error(
    url: str, environment: dict[str, str], running_api: Any
) -> None:
    store, locked = await open_store(url, environment), await open_store(url, {})
    path = "/workflows/test/child/executions"
    async with running_api(locked) as api:
        await api.deploy(CHILD)
        run = await api.post(path, 202, json={"input": {"word": "x"}})
        address = f"{api.url}/api/v1/executions/{run['id']}/events/stream"
        async with api.session.get(address) as stream, Node(store, url, environment=environment):
            assert stream.status == 200
            *_, name, data = (await asyncio.wait_for(stream.text(), 60)).strip().split("\n")
            waited = await api.post(f"{path}?wait=60", 202, json={"input": {"word": "y"}})
        assert name == "event: error"
        problem = json.loads(data.removeprefix("data: "))
        assert problem["status"] == 503
        assert "the key 'first'" in problem["detail"]
        assert waited["input"] == {"word": "y"}
        async with AsyncClient(api.url, attempts=1) as client:
            with pytest.raises(Unavailable, match="the key 'first'"):
                _ = [event async for event in client.events(run["id"])]
    await locked.close()
    await store.close()


async def test_a_list_has_executions_that_cannot_be_read(
    url: str, environment: dict[str, str], running_api: Any
) -> None:
    """One execution whose key is missing does not hide the others."""
    store = await open_store(url, environment)
    async with running_api(store) as api, Node(store, url, environment=environment):
        await api.deploy(CHILD)
        path = "/workflows/test/child/executions?wait=60"
        await api.post(path, 200, json={"id": "locked", "input": {"word": "x"}})
    await store.close()
    readable = await open_store(url, {})
    async with running_api(readable) as api, Node(readable, url, environment={}):
        await api.post(path, 200, json={"id": "plain", "input": {"word": "y"}})
        for view, hidden in (("full", {"input": {"word": "y"}, "output": {"word": "y"}}), ("summary", {})):
            items = (await api.get(f"/executions?view={view}"))["items"]
            shown = {item["id"]: item for item in items}
            assert shown["plain"].items() >= hidden.items()
            assert shown["locked"]["status"] == "completed"
            if view == "full":
                assert "the key 'first'" in shown["locked"]["error"]["detail"]
                assert shown["locked"]["error"]["status"] == 503
    await readable.close()
