"""Subscriptions with real brokers: messages reach the workflow in order, once (inventory J17, J18)."""

import json
from collections.abc import AsyncIterator

import pytest
from tests.executor.asyncapi.conftest import Services, document
from tests.executor.asyncapi.peers import (
    EventStream,
    Lines,
    LongPolling,
    Peer,
    RedisChannel,
    RedisStream,
    WebSocket,
    number,
    numbered,
    serving,
    workflow,
)

from unspool.eventstore.records import Message, MessageKind

SERVERS = {"events": EventStream, "lines": Lines, "polling": LongPolling, "ws": WebSocket}
CLIENTS = {"redis": RedisChannel, "redis-stream": RedisStream}


@pytest.fixture
async def peer(request: pytest.FixtureRequest) -> AsyncIterator[Peer]:
    if request.param in SERVERS:
        async with serving(SERVERS[request.param]()) as server:
            yield server
        return
    peer = CLIENTS[request.param](request.getfixturevalue("redis_database"))
    yield peer
    await peer.close()


every_protocol = pytest.mark.parametrize("peer", [*SERVERS, *CLIENTS], indirect=True)
two_protocols = pytest.mark.parametrize("peer", ["events", "redis-stream"], indirect=True)
protocols_that_keep = pytest.mark.parametrize("peer", ["redis-stream"], indirect=True)


@every_protocol
async def test_messages_are_consumed_in_order(services: Services, peer: Peer):
    async with services.node():
        key = await services.start(workflow("{consume: {amount: 5}}"), peer.document)
        await peer.subscribed()
        for n in range(5):
            await peer.send(number(n))
        assert numbered(await services.output(key)) == [0, 1, 2, 3, 4]
        await peer.empty()


@two_protocols
async def test_the_filter_and_foreach_see_each_message(services: Services, peer: Peer):
    text = workflow(
        """
          filter: '${ .payload.n % 2 == $workflow.input.rest }'
          consume: { while: '${ ($context.seen | length) < 3 }' }
          foreach:
            item: message
            at: place
            do: [ { double: { set: { twice: '${ $message.payload.n * 2 }', place: '${ $place }' } } } ]
            export: { as: '{ seen: (($context.seen // []) + [.twice]) }' }
        """
    )
    async with services.node():
        key = await services.start(text, peer.document, {"rest": 1})
        await peer.subscribed()
        for n in range(6):
            await peer.send(number(n))
        expected = [{"twice": 2 * n, "place": place} for place, n in enumerate((1, 3, 5))]
        assert await services.output(key) == expected
        await peer.empty()


@every_protocol
async def test_a_cancelled_workflow_leaves_nothing_at_the_broker(services: Services, peer: Peer):
    async with services.node():
        key = await services.start(workflow("{consume: {while: '${ true }'}, foreach: {}}"), peer.document)
        await peer.subscribed()
        await peer.send(number(1))
        await services.received(key, 1)
        await services.store.send(key.tenant, Message(MessageKind.CANCEL, key.id, {}))
        assert (await services.ended(key)).type == "workflow.cancelled"
        await peer.empty()


@two_protocols
async def test_a_message_that_is_not_json_is_a_text(services: Services, peer: Peer):
    async with services.node():
        key = await services.start(workflow("{consume: {amount: 2}}"), peer.document)
        await peer.subscribed()
        await peer.send(b'{"n": ')
        await peer.send(b"[" * 5000)
        payloads = [message["payload"] for message in await services.output(key)]
        assert payloads == ['{"n": ', "[" * 5000]


@every_protocol
async def test_a_message_that_is_too_large_is_an_error(services: Services, peer: Peer):
    async with services.node(UNSPOOL_BROKER_MAX_MESSAGE_BYTES="1000"):
        key = await services.start(workflow("{consume: {amount: 1}}"), peer.document)
        await peer.subscribed()
        await peer.send(b'"' + b"x" * 2000 + b'"')
        error = await services.error(key)
        assert error["title"] == "Message too large"
        assert error["type"].endswith("/communication")


@two_protocols
async def test_a_subscription_ends_after_its_time(services: Services, peer: Peer):
    async with services.node():
        text = workflow("{consume: {amount: 5, for: {seconds: 8}}}")
        key = await services.start(text, peer.document)
        await peer.subscribed()
        await peer.send(number(1))
        assert numbered(await services.output(key)) == [1]
        await peer.empty()


@two_protocols
async def test_a_timeout_ends_the_subscription(services: Services, peer: Peer):
    async with services.node():
        text = workflow("{consume: {amount: 1}}") + "      timeout: { after: { seconds: 1 } }\n"
        key = await services.start(text, peer.document)
        assert (await services.error(key))["type"].endswith("/timeout")
        await peer.empty()


@protocols_that_keep
async def test_an_executor_that_stops_loses_nothing_and_repeats_nothing(services: Services, peer: Peer):
    async with services.node("worker", "timer"):
        async with services.node("executor"):
            key = await services.start(workflow("{consume: {amount: 6}}"), peer.document)
            await peer.subscribed()
            for n in range(3):
                await peer.send(number(n))
            await services.received(key, 3)
        for n in range(3, 6):
            await peer.send(number(n))
        async with services.node("executor"):
            assert numbered(await services.output(key)) == [0, 1, 2, 3, 4, 5]
            await peer.empty()


async def test_a_message_that_an_executor_has_read_and_not_sent_is_consumed(
    services: Services, redis_database: str
):
    """An executor that has lost the task may read one more message, which nothing else has then."""
    peer = RedisStream(redis_database)
    async with services.node():
        key = await services.start(workflow("{consume: {amount: 2}}"), peer.document)
        await peer.subscribed()
        await peer.send_to_a_stopped_executor(number(0))
        await peer.send(number(1))
        assert sorted(numbered(await services.output(key))) == [0, 1]
        await peer.empty()
    await peer.close()


async def test_a_server_that_closes_is_connected_to_again(services: Services):
    async with serving(WebSocket()) as server, services.node():
        key = await services.start(workflow("{consume: {amount: 2}}"), server.document)
        await server.subscribed()
        await server.send(number(1))
        await services.received(key, 1)
        await server.close_connections()
        await server.subscribed()
        await server.send(number(2))
        assert numbered(await services.output(key)) == [1, 2]
        assert len(server.headers) == 2


async def test_a_correlation_id_is_where_the_document_says(services: Services):
    async with serving(WebSocket()) as server, services.node():
        server_document = document(
            f"ws://127.0.0.1:{server.port}",
            message={"correlationId": {"location": "$message.payload#/meta/id"}},
        )
        text = workflow("{filter: '${ .correlationId == \"7\" }', consume: {amount: 1}}")
        key = await services.start(text, server_document)
        await server.subscribed()
        for id_ in (6, 7):
            await server.send(json.dumps({"meta": {"id": id_}}).encode())
        [message] = await services.output(key)
        assert message["correlationId"] == "7"


@pytest.mark.parametrize("protocol", ["http", "ws", "redis"])
async def test_a_broker_that_is_away_is_a_communication_error(
    services: Services, unused_tcp_port: int, protocol: str
):
    async with services.node():
        described = document(f"{protocol}://127.0.0.1:{unused_tcp_port}")
        key = await services.start(workflow("{consume: {amount: 1}}"), described)
        error = await services.error(key)
        assert error["type"].endswith("/communication")
        assert error["title"]


async def test_redis_refuses_wrong_credentials(services: Services, redis_database: str):
    async with services.node():
        more = "authentication: {basic: {username: eve, password: wr0ngpass}}"
        key = await services.start(workflow("{consume: {amount: 1}}", more), document(redis_database))
        error = await services.error(key)
        assert error["type"].endswith("/authentication")
        assert "wr0ngpass" not in json.dumps(error)


async def test_many_messages_are_sent_together(services: Services, redis_database: str):
    peer = RedisStream(redis_database)
    async with services.node():
        key = await services.start(workflow("{consume: {amount: 500}}"), peer.document)
        await peer.subscribed()
        await peer.send_all(map(number, range(500)))
        assert numbered(await services.output(key)) == list(range(500))
        events = [e for e in await services.store.history(key) if e.type == "messages.received"]
        assert len(events) < 250
    await peer.close()


async def test_a_subscription_waits_for_the_limit_of_its_broker(services: Services):
    text = workflow("{consume: {amount: 1}}")
    async with serving(WebSocket()) as server, services.node(UNSPOOL_LIMITS="127.0.0.1=1/h"):
        first = await services.start(text, server.document)
        await server.subscribed()
        second = await services.start(text, server.document)
        limit = f"the limit of 127.0.0.1:{server.port}"
        await services.waits_for(second, limit)
        assert len(server.connections) == 1
        await services.store.send(second.tenant, Message(MessageKind.CANCEL, second.id, {}))
        await services.ended(second)
        await server.send(number(1))
        assert numbered(await services.output(first)) == [1]
