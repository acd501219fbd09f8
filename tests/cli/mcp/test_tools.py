"""The tools of `unspool mcp`, over the library's connection inside a process."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from mcp import Client
from tests.cli.mcp.conftest import Agent

from unspool.cli.jq import jq_pool
from unspool.cli.mcp import answers
from unspool.cli.mcp.allowed import Allowed
from unspool.cli.mcp.server import LocalCaller, UnspoolServer
from unspool.cli.mcp.starting import describe, tool_name
from unspool.cli.options import Place
from unspool.cli.targets.store_target import StoreTarget
from unspool.eventstore.records import ExecutionKey, WorkflowRef

ALL = Allowed(start=True, operate=True, wait_seconds=60)
READING = {
    "list_workflows",
    "show_workflow",
    "list_executions",
    "count_executions",
    "show_execution",
    "execution_result",
    "execution_history",
    "why_execution_waits",
    "draw_diagram",
    "list_schedules",
    "list_dead_letters",
}


@asynccontextmanager
async def agent_of(allowed: Allowed, tenant: str = "default") -> AsyncIterator[Agent]:
    with jq_pool({}) as jq:
        async with StoreTarget(Place(None, tenant), "mcp:test") as target:
            server = UnspoolServer(target, allowed, LocalCaller(), jq).protocol()
            async with Client(server) as client:
                yield Agent(client)


async def test_without_permission_there_are_only_tools_that_read(store):
    async with agent_of(Allowed()) as agent:
        tools = await agent.tools()
        assert tools.keys() == READING
        assert all(tool.annotations.read_only_hint for tool in tools.values())
        started = await agent.call("start_shop_order", {"lamp": "x"}, fails=True)
        assert "--allow-start" in started
        for name in ("cancel_execution", "retry_execution", "publish_event"):
            assert "--allow-operate" in await agent.call(name, {"id": "x"}, fails=True)
    assert sum(count.number for count in (await store.count_executions("default")).values()) == 0


async def test_a_workflow_is_started_and_looked_at(store):
    async with agent_of(ALL) as agent:
        tool = (await agent.tools())["start_shop_order"]
        assert tool.title == "Order"
        assert tool.description == "Starts the workflow shop/order:1.10.0. Orders a better lamp."
        assert tool.input_schema["required"] == ["lamp"]
        assert tool.input_schema["$schema"] == "http://json-schema.org/draft-07/schema#"
        assert not tool.annotations.read_only_hint

        done = await agent.json("start_shop_order", {"lamp": "red"})
        assert done == {"execution": done["execution"], "status": "completed", "output": {"ordered": "red"}}
        id_ = done["execution"]
        assert any(id_ in report for report in agent.reports)
        assert (await agent.json("execution_result", {"id": id_}))["output"] == {"ordered": "red"}
        assert (await agent.json("show_execution", {"id": id_}))["input"] == {"lamp": "red"}
        [listed] = (await agent.json("list_executions", {"workflow": "shop/order", "since": "1h"}))["items"]
        assert (listed["id"], listed["workflow"]) == (id_, "shop/order:1.10.0")
        assert "input" not in listed
        assert "completed" in await agent.call("draw_diagram", {"execution": id_, "form": "text"})
        assert (await agent.call("draw_diagram", {"workflow": "shop/order"})).startswith("flowchart")
        assert "a better lamp" in await agent.call("show_workflow", {"workflow": "shop/order"})
        [started] = await store.history(ExecutionKey("default", id_), limit=1)
        assert started.data["by"] == "mcp:test"


async def test_a_history_comes_in_pages(store):
    async with agent_of(ALL) as agent:
        id_ = (await agent.json("start_shop_order", {"lamp": "red"}))["execution"]
        first = await agent.json("execution_history", {"id": id_, "limit": 2.0})
        assert ([event["seq"] for event in first["items"]], first["next"]) == ([1, 2], 2)
        rest = await agent.json("execution_history", {"id": id_, "after": first["next"]})
        assert (rest["items"][0]["seq"], rest["items"][-1]["type"]) == (3, "workflow.completed")
        assert rest["next"] is None


async def test_an_input_that_is_no_object_is_an_argument(store):
    async with agent_of(ALL) as agent:
        schema = (await agent.tools())["start_shop_count"].input_schema
        assert (schema["type"], schema["required"]) == ("object", ["input"])
        assert schema["properties"]["input"]["type"] == "integer"
        assert (await agent.json("start_shop_count", {"input": 7}))["output"] == {"number": 7}


async def test_what_fails_is_an_error_that_an_agent_can_read(store):
    async with agent_of(ALL) as agent:
        refused = await agent.json("start_shop_refuse", fails=True)
        assert (refused["status"], refused["error"]["status"]) == ("faulted", 409)
        wrong = await agent.json("start_shop_order", {"lamp": 7}, fails=True)
        assert "string" in wrong["error"]["detail"]


async def test_an_execution_that_waits_is_operated(store):
    async with agent_of(Allowed(start=True, operate=True, wait_seconds=0.1)) as agent:
        waits = await agent.json("start_shop_nap")
        id_ = waits["execution"]
        assert "execution_result" in waits["hint"]
    async with agent_of(ALL) as agent:
        await eventually(agent, "why_execution_waits", id_, "waits until")
        suspended = await agent.json("suspend_execution", {"id": id_, "reason": "a test"})
        assert (suspended["status"], suspended["applied"]) == ("suspended", True)
        assert (await agent.json("resume_execution", {"id": id_}))["applied"]
        assert (await agent.json("cancel_execution", {"id": id_}))["status"] == "cancelled"
        assert "cancel requires" in await agent.call("cancel_execution", {"id": id_}, fails=True)
        assert (await agent.json("execution_result", {"id": id_}, fails=True))["status"] == "cancelled"


async def test_an_event_is_published(store):
    async with agent_of(Allowed(start=True, operate=True, wait_seconds=0.1)) as agent:
        id_ = (await agent.json("start_shop_hear"))["execution"]
        await eventually(agent, "why_execution_waits", id_, "event")
        await agent.call("publish_event", {"event": {"type": "paid", "source": "/bank", "data": {"n": 1}}})
        heard = await agent.json("execution_result", {"id": id_, "wait": 60})
        assert heard["output"] == [{"n": 1}]
        wrong = {"event": {"type": "paid", "source": "/bank", "Bad": 1}}
        assert await agent.call("publish_event", wrong, fails=True)


async def eventually(agent: Agent, name: str, id_: str, text: str) -> None:
    async with asyncio.timeout(60):
        while text not in await agent.call(name, {"id": id_}):
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("show_execution", {"id": "../etc/passwd"}),
        ("show_execution", {"id": ".."}),
        ("show_execution", {"id": "x" * 10_000}),
        ("show_execution", {"id": "unknown"}),
        ("show_execution", {}),
        ("show_execution", {"id": 7}),
        ("show_execution", {"id": "x", "more": 1}),
        ("execution_history", {"id": "x", "limit": 10**9}),
        ("execution_history", {"id": "x", "after": -1}),
        ("execution_result", {"id": "x", "wait": 10**9}),
        ("list_executions", {"workflow": "a b"}),
        ("list_executions", {"since": "yesterday"}),
        ("list_executions", {"tags": {"": "x"}}),
        ("list_executions", {"limit": 0}),
        ("list_dead_letters", {"execution": "../x"}),
        ("show_workflow", {"workflow": "shop/none"}),
        ("show_workflow", {"workflow": "\ud800"}),
        ("draw_diagram", {}),
        ("draw_diagram", {"execution": "unknown"}),
        ("start_", {}),
        ("start_shop_none", {}),
        ("start_../../x", {}),
        ("nothing", {}),
        ("publish_event", {"event": {}}),
        ("cancel_execution", {"id": "unknown"}),
        ("cancel_execution", {"id": "x", "reason": "r" * 10_000}),
    ],
)
async def test_hostile_arguments_are_refused_in_words(store, name, arguments):
    async with agent_of(ALL) as agent:
        text = await agent.call(name, arguments, fails=True)
        assert "bug" not in text
        assert len(text) < 2_000


async def test_a_server_shows_one_tenant(store):
    async with agent_of(ALL) as agent:
        id_ = (await agent.json("start_shop_order", {"lamp": "red"}))["execution"]
    async with agent_of(ALL, tenant="other") as other:
        assert (await other.json("list_workflows"))["items"] == []
        assert (await other.tools()).keys() & {"start_shop_order"} == set()
        assert "there is no execution" in await other.call("show_execution", {"id": id_}, fails=True)


async def test_a_large_answer_is_shortened(store):
    async with agent_of(ALL) as agent:
        large = await agent.json("start_shop_order", {"lamp": "x" * 300_000})
        assert "300000 characters" in large["output"]["ordered"]


def test_every_answer_fits():
    deep: list = []
    for _ in range(200):
        deep = [deep, "y" * 100]
    values = ["x" * 10**6, [*range(10**5)], {str(n): "x" * 100 for n in range(10**4)}, deep]
    for value in values:
        text, shortened = answers.bounded(value)
        assert shortened
        assert len(text) <= answers.MOST + 1
    assert answers.bounded({"a": 1}) == ('{\n  "a": 1\n}', False)


def test_names_of_tools_are_short_and_unique():
    long = "a" * 63
    refs = [WorkflowRef("a-b", "c", "1"), WorkflowRef("a", "b-c", "1"), WorkflowRef(long, long, "1")]
    refs.append(WorkflowRef(long, long[:-1] + "b", "1"))
    names = [tool_name(ref) for ref in refs]
    assert len(set(names)) == len(names)
    assert all(len(name) <= 64 and name.replace("_", "").replace("-", "").isalnum() for name in names)


@pytest.mark.parametrize(
    "schema",
    [
        {"format": "avro", "document": {"type": "object"}},
        {"resource": {"endpoint": "https://example.com/schema.json"}},
        {"document": {"type": "object", "description": "x" * 100_000}},
        {"document": True},
    ],
)
def test_schemas_that_a_tool_cannot_have(schema):
    about = {"dsl": "1.0.3", "namespace": "a", "name": "b", "version": "1", "title": "\x1b[2J t" * 500}
    text = json.dumps({"document": about, "input": {"schema": schema}, "do": []})
    described = describe(WorkflowRef("a", "b", "1"), text)
    assert described.schema["type"] == "object"
    assert len(json.dumps(described.schema)) < 1_000
    assert "\x1b" not in described.title
    assert len(described.title) <= 1_000


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1 << 64, "does not fit 64 bits"),
        (json.loads("[" * 120 + "]" * 120), "nested deeper"),
    ],
)
async def test_arguments_that_no_store_can_keep_are_refused(store, value, said):
    async with agent_of(ALL) as agent:
        for name, arguments in (
            ("start_shop_count", {"input": value}),
            ("publish_event", {"event": {"source": "/a", "type": "b", "data": value}}),
        ):
            assert said in await agent.call(name, arguments, fails=True)
    assert sum(count.number for count in (await store.count_executions("default")).values()) == 0
