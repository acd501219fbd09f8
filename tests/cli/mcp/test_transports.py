"""`unspool mcp` over its transports, as agents use it."""

import asyncio
import os
import sys
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
from tests.api.conftest import run_api
from tests.api.keys import ON, bearer, key_for
from tests.cli.mcp.conftest import Agent

from unspool.api.authentication.authenticator import Authenticator
from unspool.api.engine import Engine
from unspool.api.settings import ApiSettings
from unspool.cli.mcp.allowed import Allowed
from unspool.cli.mcp.http import CallersOfRequests, Keys, KeysOfApi, serve
from unspool.cli.mcp.server import UnspoolServer
from unspool.cli.options import Place
from unspool.cli.targets.api_target import api_target
from unspool.cli.targets.port import Target
from unspool.cli.targets.store_target import StoreTarget
from unspool.eventstore.clock import SystemClock

UNSPOOL = str(Path(sys.executable).with_name("unspool"))
ALL = Allowed(start=True, operate=True, wait_seconds=60)
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


@asynccontextmanager
async def served_over_http(target: Target, keys: Keys | None = None, **settings: Any) -> AsyncIterator[str]:
    """Serves over HTTP in this process; yields the address."""
    server = UnspoolServer(target, ALL, CallersOfRequests()).protocol()
    stop, address = asyncio.Event(), asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as group:
        made = ApiSettings(port=0, **settings)
        group.create_task(serve(server, made, keys, "default", stop, address.set_result))
        try:
            yield await address
        finally:
            stop.set()


@asynccontextmanager
async def agent_at(address: str, key: str | None = None, mode: Any = "auto") -> AsyncIterator[Agent]:
    headers = {} if key is None else bearer(key)
    async with (
        httpx2.AsyncClient(headers=headers) as http,
        Client(streamable_http_client(address, http_client=http), mode=mode) as client,
    ):
        yield Agent(client)


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
    keys = Authenticator(store, SystemClock(), ON)
    reader, starter = await key_for(store, "read"), await key_for(store, "read", "start")
    async with (
        StoreTarget(Place(None, "default"), "mcp:test") as target,
        served_over_http(target, keys) as address,
    ):
        async with agent_at(address, reader) as agent:
            assert not {"start_shop_order", "cancel_execution"} & (await agent.tools()).keys()
            assert "lacks the scope start" in await agent.call("start_shop_order", {"lamp": "x"}, fails=True)
            assert "lacks the scope operate" in await agent.call("cancel_execution", {"id": "x"}, fails=True)
        async with agent_at(address, starter) as agent:
            assert (await agent.json("start_shop_order", {"lamp": "red"}))["status"] == "completed"
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
    token, reader = await key_for(store, "read", "start", "operate"), await key_for(store, "read")
    async with run_api(store, Engine(jq), ApiSettings(port=0, stop_seconds=5), authentication=ON) as api:
        place = Place(None, "default", api.url)
        monkeypatch.setenv("UNSPOOL_TOKEN", token)
        async with (
            api_target(place, api.url) as target,
            served_over_http(target, KeysOfApi(api.url)) as address,
        ):
            async with agent_at(address, token) as agent:
                done = await agent.json("start_shop_order", {"lamp": "red"})
                assert done["output"] == {"ordered": "red"}
                shown = await agent.json("execution_history", {"id": done["execution"], "limit": 1})
                assert shown["next"] == 1
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
        served_over_http(target, KeysOfApi(api.url)) as address,
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
