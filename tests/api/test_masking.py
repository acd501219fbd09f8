"""Values that a definition masks are in no view of the API, and reach tasks and sub-workflows."""
# ruff: noqa: E501 - a task of a definition is a long line

import asyncio
import json
import logging
from typing import Any

import pytest
from aiohttp import web
from tests.api.views import EXECUTION, everything_shown

from unspool.cli.node import Node
from unspool.definitions.masking import MASKED
from unspool.eventstore.clock import SystemClock
from unspool.eventstore.opening import open_store
from unspool.eventstore.records import ExecutionKey, TaskRequest
from unspool.executor.outcome import Outcome
from unspool.executor.service import ExecutorService
from unspool.executor.settings import ExecutorSettings
from unspool.executor.task_context import TaskContext

CANARY = "Canary4111222233334444"

MAIN = """\
document:
  dsl: '1.0.3'
  namespace: test
  name: main
  version: '1.0.0'
  metadata: {unspool: {mask: [/card/number, /output/number, /items/*/code, /detail]}}
do:
  - keep: {set: {card: '${ .card }', items: ['${ {code: .card.number} }']}, export: {as: .}}
  - pay: {call: http, with: {method: post, endpoint: URL, body: '${ {card: $context.card} }'}}
  - failing:
      try:
        - fail: {raise: {error: {type: 'https://example.com/e', status: 400, detail: '${ $context.card.number }'}}}
      catch:
        retry: {delay: {milliseconds: 10}, limit: {attempt: {count: 1}}}
        as: error
        do: [{caught: {set: {detail: '${ $error.detail }'}}}]
  - child: {run: {workflow: {namespace: test, name: child, version: '1.0.0', input: {card: '${ $context.card }'}}}}
  - last: {set: {card: '${ $context.card }', seen: '${ $context.card.number | length }'}}
"""

CHILD = """\
document: {dsl: '1.0.3', namespace: test, name: child, version: '1.0.0', metadata: {unspool: {mask: [/number]}}}
do: [{back: {set: {number: '${ .card.number }', length: '${ .card.number | length }'}}}]
"""

WAITING = """\
document: {dsl: '1.0.3', namespace: test, name: waiting, version: '1.0.0', metadata: {unspool: {mask: [/number]}}}
do:
  - keep: {set: {number: '${ .number }'}, export: {as: .}}
  - many: {for: {each: item, in: '${ [range(4)] }'}, do: [{again: {set: {number: '${ $context.number }'}}}]}
  - send: {call: http, with: {method: post, endpoint: 'http://localhost', body: '${ {number: $context.number} }'}}
"""


@pytest.fixture
async def paid() -> Any:
    """A server that takes payments: its URL, and what it got."""
    got: list[Any] = []

    async def pay(request: web.Request) -> web.Response:
        got.append(await request.json())
        return web.json_response(got[-1])

    runner = web.ServerRunner(web.Server(pay, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", got
    await runner.cleanup()


async def test_no_view_shows_what_is_masked(store_url, paid, running_api, caplog) -> None:
    caplog.set_level(logging.INFO)
    url, got = paid
    store = await open_store(store_url, {})
    async with running_api(store) as api, Node(store, store_url, environment={}):
        for text in (CHILD, MAIN.replace("URL", url)):
            await api.deploy(text)
        body = {"input": {"card": {"number": CANARY, "name": "Ada"}}, "id": "one"}
        run = await api.post("/workflows/test/main/executions?wait=60", 200, json=body)
        assert run["status"] == "completed", run
        assert run["output"] == {"card": {"number": MASKED, "name": "Ada"}, "seen": len(CANARY)}
        assert run["input"] == {"card": {"number": MASKED, "name": "Ada"}}
        assert got == [{"card": {"number": CANARY, "name": "Ada"}}]
        shown = json.dumps(run).encode() + await everything_shown(api, "one", "test/main")
        [child] = (await api.get("/executions?parent=one"))["items"]
        assert child["output"] == {"number": MASKED, "length": len(CANARY)}
        shown += await everything_shown(api, child["id"], "test/child")

        same = await api.post("/workflows/test/main/executions", 200, json=body)
        assert same["input"] == run["input"]
        body["input"] = {"card": {"number": "another", "name": "Ada"}}
        await api.post("/workflows/test/main/executions", 409, json=body)
    real = await store.history(ExecutionKey("default", "one"))
    assert real[-1].data["output"]["card"]["number"] == CANARY
    await store.close()
    at = shown.find(CANARY.encode())
    assert at < 0, shown[max(0, at - 300) : at + 30]
    assert shown.count(MASKED.encode()) > 15
    assert CANARY not in caplog.text


async def broken(request: TaskRequest, _: TaskContext) -> Outcome:
    """A handler with a bug, whose error shows its arguments."""
    raise RuntimeError(f"cannot send {request.arguments}")


async def test_executions_that_wait_and_dead_letters(store_url, running_api) -> None:
    store = await open_store(store_url, {})
    async with running_api(store) as api:
        await api.deploy(WAITING)
        body = {"input": {"number": CANARY}, "id": "one"}
        started = await api.post("/workflows/test/waiting/executions", 202, json=body)
        pending = [started, await api.get("/executions/one"), await api.get("/executions")]
        executor = ExecutorService(store, {"http": broken}, ExecutorSettings(), "x1", SystemClock())
        running = asyncio.create_task(executor.run())
        environment = {"UNSPOOL_SNAPSHOT_EVERY": "5"}
        async with Node(store, store_url, environment=environment, services=("worker",)):
            async with asyncio.timeout(60):
                while not (await api.get("/dlq?execution=one"))["items"]:
                    await asyncio.sleep(0.05)
        executor.stop()
        await running
        shown = await everything_shown(api, "one", "test/waiting")
        [loaded] = await store.load([ExecutionKey("default", "one")], 10)
        assert loaded.snapshot is not None
        [letter] = (await api.get("/dlq?execution=one"))["items"]
        whole = await api.get(f"/dlq/{letter['id']}")
        why = await api.get("/executions/one/why")
    await store.close()
    assert [each["input"] for each in (*pending[:2], pending[2]["items"][0])] == [{"number": MASKED}] * 3
    assert CANARY.encode() not in shown
    assert whole["body"]["arguments"]["body"] == {"number": MASKED}
    assert f"cannot send {{'method': 'post', 'body': {{'number': '{MASKED}'}}" in whole["error"]
    assert MASKED in whole["traceback"]
    assert "dead letter" in why["sentence"]


LISTENING = """\
document: {dsl: '1.0.3', namespace: test, name: NAME, version: '1.0.0', metadata: {unspool: {mask: MASK}}}
do:
  - paid:
      listen:
        to:
          one: {with: {type: paid}, correlate: {number: {from: .data.number, expect: '${ .card.number }'}}}
"""


async def test_a_search_finds_no_execution_by_a_value_that_may_be_masked(store_url, running_api) -> None:
    store = await open_store(store_url, {})
    async with running_api(store) as api, Node(store, store_url, environment={}):
        for name, mask in (("open", "[]"), ("masked", "[/card/number, /keys/number]")):
            await api.deploy(LISTENING.replace("NAME", name).replace("MASK", mask))
            body = {"id": name, "input": {"card": {"number": CANARY}}}
            await api.post(f"/workflows/test/{name}/executions", 202, json=body)
        async with asyncio.timeout(60):
            while (await api.get("/counts"))["executions"]["waiting"] < 2:
                await asyncio.sleep(0.05)
        found = await api.get(f"/executions?correlation={CANARY}")
        shown = [str(await api.get(f"/executions/masked{view}")) for view in EXECUTION]
    await store.close()
    assert [each["id"] for each in found["items"]] == ["open"]
    assert CANARY not in "".join(shown)


FAILING = """\
document: {dsl: '1.0.3', namespace: test, name: failing, version: '1.0.0', metadata: {unspool: {mask: [/error/detail]}}}
do:
  - fail: {raise: {error: {type: 'https://example.com/e', status: 400, detail: '${ .number }'}}}
"""


async def test_lifecycle_events_show_what_the_history_shows(store_url, running_api) -> None:
    store = await open_store(store_url, {})
    environment = {"UNSPOOL_LIFECYCLE_EVENTS": "true"}
    async with running_api(store) as api, Node(store, store_url, environment=environment):
        await api.deploy(FAILING)
        # Any caller may publish an event of this type; it need not have the data of one.
        forged = {"specversion": "1.0", "id": "1", "type": "io.serverlessworkflow.x", "data": CANARY[::-1]}
        for source in ("/test/failing/1.0.0", "/test//1.0.0", "/a/b/c"):
            await api.post("/events", 202, json={**forged, "source": source})
        body = {"id": "one", "input": {"number": CANARY}}
        await api.post("/workflows/test/failing/executions?wait=60", 200, json=body)
        real = await lifecycle_of_a_fault(store)
        [faulted] = [each for each in real if each.event["type"].endswith(".workflow.faulted.v1")]
        shown = await api.get(f"/events/{faulted.position}")
        stream = await streamed_events(api, len(real), before=real[0].position)
    await store.close()
    assert faulted.event["data"]["error"]["detail"] == CANARY
    assert shown["event"]["data"]["error"]["detail"] == MASKED
    assert CANARY not in stream
    assert stream.count(CANARY[::-1]) >= 2
    assert stream.count(MASKED) == 2


async def lifecycle_of_a_fault(store: Any) -> list[Any]:
    """The published events of an execution that has faulted. On Redis they come soon after its last commit."""
    async with asyncio.timeout(60):
        while True:
            found: list[Any] = await store.published_events("default", limit=50)
            if any(each.event["type"].endswith(".workflow.faulted.v1") for each in found):
                return found
            await asyncio.sleep(0.01)


async def streamed_events(api: Any, count: int, before: str) -> str:
    """The stream of published events after a position, up to the newest of so many."""
    text = ""
    headers = {"Last-Event-ID": before}
    async with (
        asyncio.timeout(60),
        api.session.get(f"{api.url}/api/v1/events/stream", headers=headers) as response,
    ):
        async for line in response.content:
            text += line.decode()
            if text.count("\ndata:") >= count - 1 and not line.strip():
                break
    return text


QUOTING = """\
document: {dsl: '1.0.3', namespace: test, name: quoting, version: '1.0.0', metadata: {unspool: {mask: [/number]}}}
do:
  - failing:
      try: [{fail: {wait: '${ .number }'}}]
      catch: {as: error, do: [{again: {wait: '${ .number }'}}]}
"""


async def test_texts_of_errors_quote_no_masked_value(store_url, running_api) -> None:
    store = await open_store(store_url, {})
    environment = {"UNSPOOL_LIFECYCLE_EVENTS": "true"}
    async with running_api(store) as api, Node(store, store_url, environment=environment):
        await api.deploy(QUOTING)
        body = {"id": "one", "input": {"number": CANARY}}
        run = await api.post("/workflows/test/quoting/executions?wait=60", 200, json=body)
        assert run["error"]["detail"].startswith(f"'{MASKED}' is not an ISO 8601 duration")
        shown = await everything_shown(api, "one", "test/quoting")
        shown += str(await api.get("/executions/one/events?after=3")).encode()
        real = await lifecycle_of_a_fault(store)
        shown += (await streamed_events(api, len(real), before=real[0].position)).encode()
        async with asyncio.timeout(60):
            while not (await store.drop([await store.execution(ExecutionKey("default", "one"))]))[0]:
                await asyncio.sleep(0.01)
        shown += (await streamed_events(api, len(real), before=real[0].position)).encode()
    await store.close()
    assert CANARY in str(real)
    at = shown.find(CANARY.encode())
    assert at < 0, shown[max(0, at - 300) : at + 30]
