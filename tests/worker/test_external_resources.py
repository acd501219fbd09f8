"""External resources with all services, on both stores: all workers use the same text (L5, R5)."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from unspool.cli.node import Node
from unspool.definitions.compile import plan_of
from unspool.eventstore.records import Definition, ExecutionKey, Start, Status, WorkflowRef
from unspool.worker.fetched_resources import fetched_in
from unspool.worker.replay import verify
from unspool.worker.resource_cache import plan_for_replay

REF = WorkflowRef("test", "w", "1.0.0")
HEAD = "document: {dsl: '1.0.3', namespace: test, name: w, version: '1.0.0'}\n"
KEY = ExecutionKey("default", "one")
FUNCTION = """\
do:
  - begin: {set: {n: '${ .n * 2 }'}}
  - pause: {listen: {to: {one: {with: {type: go}}}}, output: {as: $input}}
  - finish: {set: '${ [.n, (.n | tojson | test("^[0-9]+$"))] }'}
"""


class Texts:
    """A server of texts, which a test changes."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.asked: list[str] = []
        self.url = ""

    async def handle(self, request: web.BaseRequest) -> web.Response:
        self.asked.append(request.path)
        text = self.texts.get(request.path)
        return web.Response(status=404) if text is None else web.Response(text=text)


@pytest.fixture
async def texts() -> AsyncIterator[Texts]:
    server = Texts()
    runner = web.ServerRunner(web.Server(server.handle), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    await runner.cleanup()


async def until(store, holds, key=KEY):
    """The record of an execution, once a condition on it and its event types holds."""
    async with asyncio.timeout(60):
        while True:
            record = await store.execution(key)
            types = [event.type for event in await store.history(key)]
            if holds(record, types):
                return record
            await store.wait_for_version(key, record.version, 0.2)


def node(store, **environment):
    return Node(store, "sqlite://", environment={"UNSPOOL_SNAPSHOT_EVERY": "1", **environment})


async def begin(store, text, value):
    await store.put_definition("default", Definition(REF, HEAD + text, 1))
    await store.start(Start(KEY, REF, value, 1))


async def test_another_worker_continues_with_the_text_that_was_fetched(store, texts, jq):
    texts.texts = {"/f.yaml": FUNCTION, "/in.json": '{"required": ["n"]}'}
    schema = f"{{schema: {{resource: {{endpoint: '{texts.url}/in.json'}}}}}}"
    call = f"{{call: '{texts.url}/f.yaml', input: {schema}}}"
    text = f"do: [{{a: {call}}}]"
    async with node(store):
        await begin(store, text, {"n": 4})
        await until(store, lambda _, types: "workflow.correlation-started" in types)
    texts.texts = {"/f.yaml": "set: changed", "/in.json": "not: [a, schema"}
    async with node(store):
        event = {"specversion": "1.0", "id": "1", "source": "/s", "type": "go"}
        await store.publish("default", [event])
        record = await until(store, lambda record, _: record.status.ended)
    history = await store.history(KEY)
    assert record.status is Status.COMPLETED
    assert history[-1].data["output"] == [8, True]
    assert sorted(texts.asked) == ["/f.yaml", "/in.json"]
    stored = {sha256: await store.text("default", sha256) for _, sha256 in fetched_in(history)}
    plan = plan_for_replay(plan_of(HEAD + text, jq), fetched_in(history), stored, jq)
    assert verify(plan, KEY.id, history) is None


async def test_many_executions_use_one_text(store, texts):
    texts.texts = {"/f.yaml": "set: ${ .n + 1 }"}
    keys = [ExecutionKey("default", f"e{n}") for n in range(20)]
    await store.put_definition(
        "default", Definition(REF, HEAD + f"do: [{{a: {{call: '{texts.url}/f.yaml'}}}}]", 1)
    )
    async with node(store):
        for n, key in enumerate(keys):
            await store.start(Start(key, REF, {"n": n}, 1))
        for key in keys:
            await until(store, lambda record, _: record.status.ended, key)
    outputs = [(await store.history(key))[-1].data.get("output") for key in keys]
    assert outputs == list(range(1, 21))


async def test_a_tenant_cannot_use_the_text_of_another(store, texts, jq):
    texts.texts = {"/f.yaml": "set: ${ 1 }"}
    async with node(store):
        await begin(store, f"do: [{{a: {{call: '{texts.url}/f.yaml'}}}}]", {})
        await until(store, lambda record, _: record.status.ended)
    [(_, sha256)] = fetched_in(await store.history(KEY))
    assert await store.text("default", sha256) == "set: ${ 1 }"
    assert await store.text("other", sha256) is None
