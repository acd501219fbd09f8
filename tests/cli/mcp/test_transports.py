"""`unspool mcp` over its transports, as agents use it."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import ToolListChangedNotification
from tests.api.conftest import run_api
from tests.api.keys import ON, bearer, key_for
from tests.cli.mcp.conftest import ORDER, Agent

from unspool.api.authentication.authenticator import Authenticator
from unspool.api.engine import Engine
from unspool.api.settings import ApiSettings
from unspool.cli.deployment import deploy_document
from unspool.cli.jq import jq_pool
from unspool.cli.mcp.allowed import Allowed
from unspool.cli.mcp.http import CallersOfRequests, Keys, KeysOfApi, KeysOfStore, serve
from unspool.cli.mcp.server import UnspoolServer
from unspool.cli.options import Place
from unspool.cli.targets.api_target import api_target
from unspool.cli.targets.port import Target
from unspool.cli.targets.store_target import StoreTarget
from unspool.definitions.document import load
from unspool.eventstore.clock import SystemClock
from unspool.eventstore.records import ExecutionKey

UNSPOOL = str(Path(sys.executable).with_name("unspool"))
ALL = Allowed(start=True, operate=True, wait_seconds=60)
INITIALIZE = json.dumps(
    {
        "jsonrpc": "2.0",
        "id": 0,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    }
).encode()
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
JSON = {"Accept": "application/json, text/event-stream"}


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_standard_input_and_output(store, mode):
    program = StdioServerParameters(command=UNSPOOL, args=["mcp", "--allow-start"], env=dict(os.environ))
    async with Client(stdio_client(program), mode=mode, read_timeout_seconds=90) as client:
        agent = Agent(client)
        assert {"start_shop_order", "list_executions"} <= (await agent.tools()).keys()
        done = await agent.json("start_shop_order", {"lamp": "red"})
        assert done["output"] == {"ordered": "red"}
        assert "--allow-operate" in await agent.call("cancel_execution", {"id": "x"}, fails=True)


async def test_a_client_that_listens_hears_of_a_deployment(store):
    program = StdioServerParameters(command=UNSPOOL, args=["mcp", "--allow-start"], env=dict(os.environ))
    async with Client(stdio_client(program), read_timeout_seconds=90) as client:
        assert client.server_capabilities.tools.list_changed
        async with asyncio.timeout(90), client.listen(tools_list_changed=True) as changes:
            before = await Agent(client).tools()
            await deploy_document(store, "default", load(ORDER.replace("name: order", "name: other")))
            await anext(aiter(changes))
            assert (await Agent(client).tools()).keys() - before.keys() == {"start_shop_other"}


async def test_a_client_of_an_older_protocol_is_told_of_a_deployment(store):
    told = asyncio.Event()

    async def hear(message: Any) -> None:
        if isinstance(message, ToolListChangedNotification):
            told.set()

    program = StdioServerParameters(command=UNSPOOL, args=["mcp", "--allow-start"], env=dict(os.environ))
    transport = stdio_client(program)
    async with Client(transport, mode="legacy", message_handler=hear, read_timeout_seconds=90) as client:
        assert client.server_capabilities.tools.list_changed
        await Agent(client).tools()
        await deploy_document(store, "default", load(ORDER.replace("name: order", "name: other")))
        async with asyncio.timeout(90):
            await told.wait()
        assert "start_shop_other" in await Agent(client).tools()


async def test_over_http_a_client_that_listens_hears_of_a_deployment(store):
    async with (
        StoreTarget(Place(None, "default"), "mcp:test") as target,
        served_over_http(target) as address,
        agent_at(address) as agent,
        asyncio.timeout(90),
        agent.client.listen(tools_list_changed=True) as changes,
    ):
        await agent.tools()
        await deploy_document(store, "default", load(ORDER.replace("name: order", "name: other")))
        await anext(aiter(changes))
        assert "start_shop_other" in await agent.tools()


UNREADABLE = [
    (b'{"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "\\ud800"}}', 7, -32700),
    (b'{"jsonrpc": "2.0", "id": "\\udc00", "method": "ping"}', None, -32700),
    (b"{", None, -32700),
    (b"[" * 100_000, None, -32700),
    (b'{"jsonrpc": "2.0", "id": 8, "method": 5}', 8, -32600),
    (b"[]", None, -32600),
    (b"\xff\xfe", None, -32700),
]


async def test_a_line_that_is_no_message_gets_an_answer(store):
    process = await asyncio.create_subprocess_exec(
        UNSPOOL, "mcp", stdin=PIPE, stdout=PIPE, env=dict(os.environ)
    )
    assert process.stdin is not None
    assert process.stdout is not None
    async with asyncio.timeout(90):
        process.stdin.write(b"\n".join([INITIALIZE, b"", *(line for line, _, _ in UNREADABLE)]) + b"\n")
        process.stdin.write(json.dumps(PING).encode() + b"\n")
        answers = [json.loads(await process.stdout.readline()) for _ in range(len(UNREADABLE) + 2)]
        process.stdin.close()
        assert await process.wait() == 0
    errors = [(each["id"], each["error"]["code"]) for each in answers if "error" in each]
    assert errors == [(id_, code) for _, id_, code in UNREADABLE]
    assert [each["id"] for each in answers if "result" in each] == [0, PING["id"]]


@asynccontextmanager
async def served_over_http(target: Target, keys: Keys | None = None, **settings: Any) -> AsyncIterator[str]:
    """Serves over HTTP in this process; yields the address."""
    stop, address = asyncio.Event(), asyncio.get_running_loop().create_future()
    with jq_pool({}) as jq:
        server = UnspoolServer(target, ALL, CallersOfRequests(), jq)
        made = ApiSettings(port=0, **settings)
        async with asyncio.TaskGroup() as group:
            group.create_task(serve(server, made, keys, "default", stop, address.set_result))
            try:
                yield await address
            finally:
                stop.set()


@asynccontextmanager
async def agent_at(address: str, key: str | None = None, mode: Any = "auto") -> AsyncIterator[Agent]:
    headers = {} if key is None else bearer(key)
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        Client(streamable_http_client(address, http_client=http), mode=mode) as client,
    ):
        yield Agent(client)


async def started_by(store, id_: str) -> str:
    """Who started an execution, as its history says."""
    [first] = await store.history(ExecutionKey("default", id_), limit=1)
    by: str = first.data["by"]
    return by


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_http(store, mode):
    async with (
        StoreTarget(Place(None, "default"), "mcp:test") as target,
        served_over_http(target) as address,
        agent_at(address, mode=mode) as agent,
    ):
        assert (await agent.json("start_shop_order", {"lamp": "red"}))["output"] == {"ordered": "red"}
        assert agent.reports


async def test_keys_say_what_a_caller_may_do(store):
    authenticator = Authenticator(store, SystemClock(), ON)
    reader, starter = await key_for(store, "read"), await key_for(store, "read", "start")
    async with (
        StoreTarget(Place(None, "default"), "mcp:test") as target,
        served_over_http(target, KeysOfStore(authenticator, target)) as address,
    ):
        async with agent_at(address, reader) as agent:
            assert not {"start_shop_order", "cancel_execution"} & (await agent.tools()).keys()
            assert "lacks the scope start" in await agent.call("start_shop_order", {"lamp": "x"}, fails=True)
            assert "lacks the scope operate" in await agent.call("cancel_execution", {"id": "x"}, fails=True)
        async with agent_at(address, starter) as agent:
            done = await agent.json("start_shop_order", {"lamp": "red"})
            assert done["status"] == "completed"
            assert (await started_by(store, done["execution"])).startswith("key:")
        other = await key_for(store, "admin", tenant="other")
        for headers, status in (({}, 401), (bearer("usk_wrong"), 401), (bearer(other), 403)):
            answered, text = await post(address, headers=headers)
            assert answered == status
            assert "usk_wrong" not in text


async def test_pages_of_other_sites_cannot_call(store):
    async with (
        StoreTarget(Place(None, "default"), "mcp:test") as target,
        served_over_http(target, max_input_bytes=10_000) as address,
    ):
        assert (await post(address))[0] == 200
        assert (await post(address, headers={"Host": "evil.example"}))[0] == 421
        assert (await post(address, headers={"Origin": "http://evil.example"}))[0] == 403
        assert (await post(address, data="x" * 20_000))[0] == 413
        assert (await post(address, data="{"))[0] == 400


async def post(address: str, headers: Any = None, data: str | None = None) -> tuple[int, str]:
    """Sends a message without the library."""
    body: Any = {"json": PING} if data is None else {"data": data}
    sent = {**JSON, "Content-Type": "application/json", **(headers or {})}
    async with (
        aiohttp.ClientSession() as session,
        session.post(address, headers=sent, timeout=aiohttp.ClientTimeout(60), **body) as response,
    ):
        return response.status, await response.text()


async def test_on_an_api_that_is_locked(store, jq, monkeypatch):
    token, reader = (
        await key_for(store, "read", "start", "operate", name="agent"),
        await key_for(store, "read"),
    )
    server_key = await key_for(store, "read", name="server")
    async with run_api(store, Engine(jq), ApiSettings(port=0, stop_seconds=5), authentication=ON) as api:
        place = Place(None, "default", api.url)
        monkeypatch.setenv("UNSPOOL_TOKEN", server_key)
        async with (
            api_target(place, api.url) as target,
            served_over_http(target, KeysOfApi(api.url, "default")) as address,
        ):
            async with agent_at(address, token) as agent:
                done = await agent.json("start_shop_order", {"lamp": "red"})
                assert done["output"] == {"ordered": "red"}
                shown = await agent.json("execution_history", {"id": done["execution"], "limit": 1})
                assert shown["next"] == 1
                assert await started_by(store, done["execution"]) == "key:agent"
            async with agent_at(address, reader) as agent:
                assert "lacks the scope" in await agent.call("start_shop_order", {"lamp": "x"}, fails=True)
            assert (await post(address))[0] == 401
            assert (await post(address, headers=bearer("usk_wrong")))[0] == 401
        monkeypatch.setenv("UNSPOOL_TOKEN", "usk_wrong")
        async with (
            api_target(place, api.url) as target,
            served_over_http(target) as address,
            agent_at(address) as agent,
        ):
            refused = await agent.call("list_workflows", fails=True)
            assert "401" in refused
            assert "usk_wrong" not in refused


async def test_an_api_that_checks_no_keys_knows_no_callers(store, jq):
    async with (
        run_api(store, Engine(jq), ApiSettings(port=0, stop_seconds=5)) as api,
        api_target(Place(None, "default", api.url), api.url) as target,
        served_over_http(target, KeysOfApi(api.url, "default")) as address,
    ):
        status, text = await post(address, headers=bearer("usk_anything"))
    assert status == 503
    assert "UNSPOOL_AUTH" in text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--http", "--host", "0.0.0.0"), "other machines can reach 0.0.0.0"),
        (("--port", "1"), "--host and --port go with --http"),
        (("--wait", "-1"), "--wait"),
    ],
)
def test_usage(unspool, arguments, text):
    refused = unspool("mcp", *arguments)
    assert refused.code == 2
    assert text in refused.stderr
