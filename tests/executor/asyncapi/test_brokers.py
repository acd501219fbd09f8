"""Publishing and subscribing at real brokers of MQTT, NATS, AMQP and Kafka's protocol (inventory J15-J18)."""

import asyncio
import contextlib
import gc
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.executor.asyncapi import programs
from tests.executor.asyncapi.conftest import SECONDS, AsyncApi, Services, document
from tests.executor.asyncapi.peers import Amqp, Kafka, Mqtt, Nats, Peer, number, numbered, workflow
from tests.tcp_proxy import TcpProxy

from unspool.eventstore.clock import SystemClock
from unspool.eventstore.records import Message, MessageKind, TaskRequest
from unspool.executor.handlers import default_handlers
from unspool.executor.outcome import Completed, Faulted, Outcome
from unspool.executor.service import ExecutorService
from unspool.executor.settings import ExecutorSettings
from unspool.executor.task_context import TaskContext

# aiokafka can leave a connection to the garbage collector when a consumer is stopped while it connects.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.timeout(300),  # the first test of a broker starts it
]


def _peer(kind: str, request: pytest.FixtureRequest, subscription: str) -> Any:
    program, _, variant = kind.partition("-")
    if program == "mqtt":
        port, _, log = request.getfixturevalue("mosquitto")
        return Mqtt(port, log, five=variant == "5")
    if program == "nats":
        return Nats(*request.getfixturevalue("nats_server"), keeps=variant == "jetstream")
    if program == "amqp":
        return Amqp(request.getfixturevalue("rabbitmq"), subscription, queue=variant == "queue")
    return Kafka(request.getfixturevalue("kafka"), subscription)


@pytest.fixture
async def peer(request: pytest.FixtureRequest, services: Services) -> AsyncIterator[Peer]:
    peer = _peer(request.param, request, services.subscription)
    await peer.open()
    yield peer
    await peer.close()
    if isinstance(peer, Kafka):
        gc.collect()  # so that no later test gets the warning


KINDS = ["mqtt-3", "mqtt-5", "nats-core", "nats-jetstream", "amqp-queue", "amqp-exchange", "kafka"]
every_broker = pytest.mark.parametrize("peer", KINDS, indirect=True)
brokers_that_keep = pytest.mark.parametrize("peer", [k for k in KINDS if k != "nats-core"], indirect=True)


@every_broker
async def test_messages_are_consumed_in_order(services: Services, peer: Peer):
    async with services.node():
        key = await services.start(workflow("{consume: {amount: 4}}"), peer.document)
        await peer.subscribed()
        for n in range(4):
            await peer.send(number(n))
        assert numbered(await services.output(key)) == [0, 1, 2, 3]
        await peer.empty()


@every_broker
async def test_what_one_task_publishes_another_gets(services: Services, asyncapi: AsyncApi, peer: Peer):
    async with services.node():
        key = await services.start(workflow("{consume: {amount: 1}}"), peer.document)
        await peer.subscribed()
        headers = {} if "mqtt://" in str(peer.document) or _is_mqtt_3(peer) else {"room": "7"}
        message = {"payload": {"n": 1}, **({"headers": headers} if headers else {})}
        assert await asyncapi(peer.document, message=message) == Completed(None)
        [received] = await services.output(key)
        assert received["payload"] == {"n": 1}
        assert headers.items() <= received["headers"].items()
        await peer.empty()


def _is_mqtt_3(peer: Peer) -> bool:
    return peer.document["servers"]["main"]["protocol"] == "mqtt"


@brokers_that_keep
async def test_another_executor_continues_without_loss_or_repetition(services: Services, peer: Peer):
    async with services.node("worker", "timer"):
        async with services.node("executor"):
            key = await services.start(workflow("{consume: {amount: 4}, foreach: {}}"), peer.document)
            await peer.subscribed()
            for n in range(2):
                await peer.send(number(n))
            await services.received(key, 2)
        for n in range(2, 4):
            await peer.send(number(n))
        async with services.node("executor"):
            assert numbered(await services.output(key)) == [0, 1, 2, 3]


@every_broker
async def test_a_cancelled_workflow_leaves_nothing_at_the_broker(services: Services, peer: Peer):
    async with services.node():
        key = await services.start(workflow("{consume: {while: '${ true }'}, foreach: {}}"), peer.document)
        await peer.subscribed()
        await peer.send(number(1))
        await services.received(key, 1)
        await services.store.send(key.tenant, Message(MessageKind.CANCEL, key.id, {}))
        assert (await services.ended(key)).type == "workflow.cancelled"
        await peer.empty()


async def test_a_task_that_is_stopped_while_it_ends_its_subscription_leaves_nothing(
    services: Services, rabbitmq: int
):
    """The execution has ended, so the executor stops the task, which waits for the broker's answer."""
    calls: list[asyncio.Task[Any] | None] = []
    proxy, peer = TcpProxy(rabbitmq), Amqp(rabbitmq, services.subscription, queue=False)
    await proxy.start()
    await peer.open()
    settings = ExecutorSettings(resources_dir=str(services.folder))
    async with services.node("worker", "timer"), default_handlers(settings) as handlers:

        async def observed(request: TaskRequest, context: TaskContext) -> Outcome:
            calls.append(asyncio.current_task())
            return await handlers["asyncapi"](request, context)

        served = {**handlers, "asyncapi": observed}
        executor = ExecutorService(services.store, served, settings, "x1", SystemClock())
        async with asyncio.TaskGroup() as group:
            group.create_task(executor.run())
            servers = {"main": {"host": f"127.0.0.1:{proxy.port}", "protocol": "amqp"}}
            described = {**peer.document, "servers": servers}
            key = await services.start(workflow("{consume: {amount: 1}}"), described)
            await peer.subscribed()
            proxy.hold_back(BASIC_CANCEL)
            await peer.send(number(1))
            assert numbered(await services.output(key)) == [1]
            await proxy.holds.wait()
            async with asyncio.timeout(SECONDS):
                while not calls[0].cancelling():
                    await asyncio.sleep(0.01)
            proxy.release()
            await peer.empty()
            executor.stop()
    await peer.close()
    await proxy.stop()


BASIC_CANCEL = bytes([0, 60, 0, 30])
"""The method of AMQP that ends a consumer."""


@every_broker
async def test_a_message_that_is_too_large_is_an_error(services: Services, peer: Peer):
    async with services.node(UNSPOOL_BROKER_MAX_MESSAGE_BYTES="1000"):
        key = await services.start(workflow("{consume: {amount: 1}}"), peer.document)
        await peer.subscribed()
        await peer.send(b'"' + b"x" * 5000 + b'"')
        assert (await services.error(key))["title"] == "Message too large"


@pytest.mark.parametrize("peer", ["nats-jetstream", "amqp-queue"], indirect=True)
async def test_a_killed_executor_loses_nothing(services: Services, peer: Peer):
    async with services.node("worker", "timer"):
        key = await services.start(workflow(f"{{consume: {{amount: {MANY}}}}}"), peer.document)
        first = services.executor_process()
        await peer.subscribed()
        for n in range(MANY):
            await peer.send(number(n))
            if n == MANY // 4:
                await services.received(key, MANY // 8)
                first.kill()
                first.wait()
        second = services.executor_process()
        try:
            found = numbered(await services.output(key))
        finally:
            second.kill()
            second.wait()
    assert len(found) == MANY
    if isinstance(peer, Nats):  # the messages have ids
        assert found == list(range(MANY))


MANY = 200

PROTOCOLS = ["mqtt", "mqtt5", "nats", "amqp", "kafka"]


def _error(outcome: object) -> tuple[str, str]:
    assert isinstance(outcome, Faulted), outcome
    return outcome.error.type.rpartition("/")[2], json.dumps(outcome.error.to_json())


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_broker_that_is_away_is_a_communication_error(
    asyncapi: AsyncApi, unused_tcp_port: int, protocol: str
):
    described = document(f"{protocol}://127.0.0.1:{unused_tcp_port}")
    assert _error(await asyncapi(described, message={"payload": {}}))[0] == "communication"


@pytest.mark.parametrize("asyncapi", [ExecutorSettings(egress="public")], indirect=True)
@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_the_egress_policy_holds(asyncapi: AsyncApi, unused_tcp_port: int, protocol: str):
    described = document(f"{protocol}://localhost:{unused_tcp_port}")
    assert _error(await asyncapi(described, message={"payload": {}}))[0] == "authorization"


@pytest.mark.parametrize("protocol", ["mqtt", "mqtt5", "nats", "amqp"])
async def test_credentials_are_checked(asyncapi: AsyncApi, request: pytest.FixtureRequest, protocol: str):
    user, password = programs.USER, programs.PASSWORD
    channel: dict[str, Any] = {}
    if protocol == "amqp":
        port, user, password = request.getfixturevalue("rabbitmq"), "guest", "guest"
        channel = {"bindings": {"amqp": {"mandatory": False}}}
    elif protocol == "nats":
        port = request.getfixturevalue("nats_server")[0]
    else:
        port = request.getfixturevalue("mosquitto")[1]
    described = document(f"{protocol}://127.0.0.1:{port}", channel=channel)

    async def published(password: str) -> Any:
        policy = {"basic": {"username": user, "password": password}}
        return await asyncapi(described, message={"payload": {}}, authentication=policy)

    assert await published(password) == Completed(None)
    kind, shown = _error(await published("wr0ngpass"))
    assert kind == "authentication"
    assert "wr0ngpass" not in shown


@pytest.mark.parametrize("protocol", ["mqtt", "mqtt5"])
async def test_no_socket_is_left_to_the_garbage_collector(
    asyncapi: AsyncApi, mosquitto: tuple[int, int, Path], protocol: str
):
    described = document(f"{protocol}://127.0.0.1:{mosquitto[0]}")
    gc.disable()
    try:
        before = _open_sockets()
        assert await asyncapi(described, message={"payload": {}}) == Completed(None)
        assert _open_sockets() <= before  # one of an earlier test may be closed meanwhile
    finally:
        gc.enable()


def _open_sockets() -> set[str]:
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the descriptor of this listing
            found.add(str(descriptor.readlink()))
    return {name for name in found if name.startswith("socket:")}


async def test_a_message_that_no_queue_takes_is_an_error(asyncapi: AsyncApi, rabbitmq: int):
    described = document(f"amqp://127.0.0.1:{rabbitmq}", address="nowhere")
    kind, detail = _error(await asyncapi(described, message={"payload": {}}))
    assert kind == "communication"
    assert "no queue" in detail


async def test_kafka_connects_to_no_broker_that_is_not_allowed(asyncapi: AsyncApi, tmp_path: Path):
    with programs.kafka(tmp_path, advertised="tcp://169.254.169.254:9092") as port:
        outcome = await asyncapi(document(f"kafka://127.0.0.1:{port}"), message={"payload": {}})
    assert _error(outcome)[0] == "authorization"


@pytest.mark.parametrize(
    ("protocol", "started"),
    [("mqtts", programs.mosquitto_with_tls), ("nats-secure", programs.nats_server_with_tls)],
)
async def test_a_certificate_must_be_for_the_name(
    asyncapi: AsyncApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: str, started: Any
):
    made = programs.certificates(tmp_path)
    message = {"payload": {}}
    with started(tmp_path, made) as port:
        unknown = await asyncapi(document(f"{protocol}://localhost:{port}"), message=message)
        monkeypatch.setenv("SSL_CERT_FILE", str(made.authority))
        assert await asyncapi(document(f"{protocol}://localhost:{port}"), message=message) == Completed(None)
        other = await asyncapi(document(f"{protocol}://127.0.0.1:{port}"), message=message)
    for outcome in (unknown, other):
        kind, detail = _error(outcome)
        assert kind == "communication"
        assert "TLS" in detail


async def test_mqtt_3_refuses_headers(asyncapi: AsyncApi, mosquitto: tuple[int, int, Path]):
    described = document(f"mqtt://127.0.0.1:{mosquitto[0]}")
    outcome = await asyncapi(described, message={"payload": {}, "headers": {"a": "b"}})
    assert _error(outcome)[0] == "configuration"


@pytest.mark.parametrize("protocol", ["nats", "nats-secure"])
async def test_a_server_that_says_nothing_is_a_timeout(asyncapi: AsyncApi, protocol: str, monkeypatch):
    monkeypatch.setattr("unspool.executor.brokers.nats.CONNECT_SECONDS", 1)
    silent = await asyncio.start_server(lambda _, writer: held.append(writer), "127.0.0.1", 0)
    held: list[asyncio.StreamWriter] = []
    port = silent.sockets[0].getsockname()[1]
    outcome = await asyncapi(document(f"{protocol}://127.0.0.1:{port}"), message={"payload": {}})
    silent.close()
    for writer in held:
        writer.close()
    assert isinstance(outcome, Faulted)
    assert outcome.error.type.endswith("/communication"), "and not `timeout`, of the whole publication"
    assert outcome.error.detail == f"{protocol}://127.0.0.1:{port}: no answer in time"
