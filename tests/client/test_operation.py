"""Schedules, dead letters, keys, tokens and tenants."""

import pytest
from tests.api.conftest import Api, run_api
from tests.api.keys import ON, key_for

from unspool.api.engine import Engine
from unspool.client import AsyncClient, Client, Forbidden, NotFound, Unauthorized
from unspool.eventstore.consumers import Consumer
from unspool.eventstore.opening import open_store

DAILY = """\
document: {dsl: '1.0.3', namespace: shop, name: report, version: '1.0.0'}
schedule: {cron: '@yearly'}
do: [{a: {set: {x: 1}}}]
"""

ONE = Consumer("workers", "one")


async def test_schedules(client: AsyncClient) -> None:
    await client.deploy(DAILY)
    assert (await client.pause_schedule("shop.report", wait=60)).paused
    [schedule] = await client.schedules()
    assert (schedule.id, schedule.paused, schedule.schedule) == ("shop.report", True, {"cron": "@yearly"})
    assert not (await client.resume_schedule("shop.report", wait=60)).paused


async def test_dead_letters(store_url: str, jq, settings) -> None:
    store = await open_store(store_url, {})
    async with run_api(store, Engine(jq), settings) as api, AsyncClient(api.url) as client:
        await api.deploy()
        ids = []
        for name in ("one", "two"):
            await client.start("shop/greet", id=name)
            [delivery] = await store.receive_messages(ONE, 1, 5)
            ids.append(await store.move_to_dead_letters(delivery, "ValueError: poison", "Traceback …"))
        assert [letter.id async for letter in client.dead_letters()] == ids
        [summary] = [letter async for letter in client.dead_letters(execution="two")]
        assert (summary.execution, summary.kind, summary.traceback) == ("two", "message", None)
        whole = await client.dead_letter(ids[1])
        assert (whole.traceback, whole.body["execution"]) == ("Traceback …", "two")
        await client.discard(ids[0])
        await client.requeue(ids[1])
        assert [letter async for letter in client.dead_letters()] == []
        with pytest.raises(NotFound):
            await client.requeue(ids[1])
    await store.close()


async def test_a_token_says_who_calls(store_url: str, jq, settings) -> None:
    store = await open_store(store_url, {})
    async with run_api(store, Engine(jq), settings, authentication=ON) as api:
        async with AsyncClient(api.url) as client:
            with pytest.raises(Unauthorized):
                await client.workflows()
        token = await key_for(store, "read", "admin")
        async with AsyncClient(api.url, token=token) as admin:
            made = await admin.create_key("ci", ["read"])
            assert made.token not in repr(made)
            async with AsyncClient(api.url, token=made.token) as reader:
                assert await reader.workflows() == []
                with pytest.raises(Forbidden):
                    await reader.start("shop/greet")
            assert "ci" in [key.name for key in await admin.keys()]
            await admin.revoke_key(made.key.id)
            async with AsyncClient(api.url, token=made.token) as reader:
                with pytest.raises(Unauthorized) as refused:
                    await reader.workflows()
            assert made.token not in f"{refused.value!r} {refused.value.document}"
    await store.close()


async def test_a_client_belongs_to_a_tenant(api: Api, client: AsyncClient) -> None:
    async with AsyncClient(api.url, tenant="acme") as other:
        assert await other.workflows() == []
        with pytest.raises(NotFound):
            await other.start("shop/greet")


@pytest.mark.parametrize("url", ["localhost:8080", "ftp://localhost", ""])
def test_an_address_is_one_of_http(url: str) -> None:
    with pytest.raises(ValueError, match="http://"):
        Client(url)


@pytest.mark.parametrize("url", ["http://[x", "http://[::1]@", "http://a..b", f"http://{'x' * 64}"])
def test_an_address_has_a_valid_host(url: str) -> None:
    with pytest.raises(ValueError, match="the host in the address of the API is not valid"):
        Client(url)
