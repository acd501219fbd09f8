"""Brokers that tests talk to, each with a client of its own: what other programs do beside a workflow."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import aiormq
import nats
import redis.asyncio
from aiohttp import web
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from tests.executor.asyncapi.conftest import document, unused_name

SECONDS = 60
"""Limit for every condition: the machine may be busy."""


async def until(condition: Callable[[], Awaitable[Any]], what: str) -> Any:
    """Waits until a condition holds; returns its value."""
    try:
        async with asyncio.timeout(SECONDS):
            while not (found := await condition()):
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"did not happen within {SECONDS} s: {what}") from None
    return found


class Peer(Protocol):
    """A broker and a client of it. The channel is `greetings`."""

    keeps: bool
    """Whether it delivers a message again that was not acknowledged."""

    @property
    def document(self) -> dict[str, Any]:
        """The AsyncAPI document that describes it."""

    async def subscribed(self, count: int = 1) -> None:
        """Waits until there are so many subscribers."""

    async def send(self, payload: bytes) -> None:
        """Publishes a message for the subscribers."""

    async def empty(self) -> None:
        """Waits until nothing of a subscription is left at the broker."""


class RedisChannel:
    keeps = False

    def __init__(self, url: str) -> None:
        self.document = document(url)
        self._client = redis.asyncio.Redis.from_url(url)

    async def subscribed(self, count: int = 1) -> None:
        async def there() -> bool:
            return (await self._client.pubsub_numsub("greetings"))[0][1] == count

        await until(there, f"{count} subscribers")

    async def send(self, payload: bytes) -> None:
        await self._client.publish("greetings", payload)

    async def empty(self) -> None:
        await self.subscribed(0)

    async def close(self) -> None:
        await self._client.aclose()


class RedisStream:
    keeps = True

    def __init__(self, url: str) -> None:
        self.document = document(url, channel={"bindings": {"redis": {"x-type": "stream"}}})
        self._client = redis.asyncio.Redis.from_url(url)

    async def _groups(self) -> list[Any]:
        return await self._client.xinfo_groups("greetings") if await self._client.exists("greetings") else []

    async def subscribed(self, count: int = 1) -> None:
        async def there() -> bool:
            groups = await self._groups()
            return len(groups) == count and all(group["consumers"] for group in groups)

        await until(there, f"{count} groups")

    async def send(self, payload: bytes) -> None:
        await self._client.xadd("greetings", {"payload": payload})

    async def send_all(self, payloads: Iterable[bytes]) -> None:
        """Publishes messages with one request."""
        async with self._client.pipeline() as transaction:
            for payload in payloads:
                transaction.xadd("greetings", {"payload": payload})
            await transaction.execute()

    async def send_to_a_stopped_executor(self, payload: bytes) -> None:
        """Publishes a message and reads it for the subscriber, as another process that then stops."""
        [group] = await self._groups()
        [consumer] = await self._client.xinfo_consumers("greetings", group["name"])
        async with self._client.pipeline() as transaction:
            transaction.xadd("greetings", {"payload": payload})
            transaction.xreadgroup(group["name"], consumer["name"], {"greetings": ">"})
            await transaction.execute()

    async def empty(self) -> None:
        async def gone() -> bool:
            return not await self._groups()

        await until(gone, "no group")

    async def close(self) -> None:
        await self._client.aclose()


class _Server:
    """A server that sends each message to every connection."""

    keeps = False

    def __init__(self) -> None:
        self.connections: list[asyncio.Queue[bytes]] = []
        self.headers: list[dict[str, str]] = []
        self.port = 0

    @property
    def document(self) -> dict[str, Any]:
        return document(f"{self.scheme}://127.0.0.1:{self.port}")

    scheme = "http"

    async def subscribed(self, count: int = 1) -> None:
        async def there() -> bool:
            return len(self.connections) == count

        await until(there, f"{count} connections")

    async def send(self, payload: bytes) -> None:
        for connection in self.connections:
            connection.put_nowait(payload)

    async def empty(self) -> None:
        await self.subscribed(0)

    @asynccontextmanager
    async def connected(self, request: web.BaseRequest) -> AsyncIterator["asyncio.Queue[bytes]"]:
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        self.headers.append(dict(request.headers))
        self.connections.append(queue)
        try:
            yield queue
        finally:
            self.connections.remove(queue)


class EventStream(_Server):
    """Server-sent events."""

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        async with self.connected(request) as queue:
            number = 0
            while True:
                number += 1
                data = b"\ndata: ".join((await queue.get()).split(b"\n"))
                await response.write(b"id: %d\ndata: " % number + data + b"\n\n")


class Lines(_Server):
    """JSON lines."""

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        async with self.connected(request) as queue:
            while True:
                await response.write(await queue.get() + b"\n")


class LongPolling(_Server):
    """One message for each request."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: asyncio.Queue[bytes] = asyncio.Queue()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        async with self.connected(request):
            return web.Response(body=await self.queue.get(), content_type="application/json")

    async def send(self, payload: bytes) -> None:
        self.queue.put_nowait(payload)


class WebSocket(_Server):
    scheme = "ws"

    def __init__(self) -> None:
        super().__init__()
        self.sockets: list[web.WebSocketResponse] = []

    async def close_connections(self) -> None:
        for socket in self.sockets[:]:
            await socket.close()
        await self.subscribed(0)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)

        async def write(queue: "asyncio.Queue[bytes]") -> None:
            while True:
                payload = await queue.get()
                try:
                    await socket.send_str(payload.decode())
                except UnicodeDecodeError:
                    await socket.send_bytes(payload)

        self.sockets.append(socket)
        async with self.connected(request) as queue:
            writing = asyncio.create_task(write(queue))
            async for _ in socket:
                pass
            writing.cancel()
            await asyncio.wait({writing})
            self.sockets.remove(socket)
        return socket


@asynccontextmanager
async def serving(server: Any) -> AsyncIterator[Any]:
    runner = web.ServerRunner(web.Server(server.handle, handler_cancellation=True), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()


def workflow(subscription: str, more: str = "") -> str:
    """A workflow with one subscription, `s`."""
    return f"""
document: {{dsl: '1.0.3', namespace: test, name: subscribe, version: '1.0.0'}}
do:
  - s:
      call: asyncapi
      with:
        document: {{endpoint: 'api.json'}}
        operation: greet
        subscription: {subscription}
        {more}
"""


def numbered(output: Any) -> list[int]:
    """The numbers in the payloads of messages that tests have sent."""
    return [message["payload"]["n"] for message in output]


def number(n: int) -> bytes:
    return json.dumps({"n": n}).encode()


class Mqtt:
    """mosquitto."""

    keeps = True

    def __init__(self, port: int, log: Path, *, five: bool) -> None:
        self.document = document(
            f"{'mqtt5' if five else 'mqtt'}://127.0.0.1:{port}", address=unused_name("greetings")
        )
        self.topic = self.document["channels"]["one"]["address"]
        self._port = port
        self._log = log
        self._before = len(log.read_text())

    async def open(self) -> None:
        """Has no connection: each message is sent by a program."""

    async def subscribed(self, count: int = 1) -> None:
        async def there() -> bool:
            return f"{self.topic} (QoS" in self._log.read_text()

        await until(there, "a subscription in the log")

    async def send(self, payload: bytes) -> None:
        """Publishes with the program of mosquitto."""
        command = ("-p", str(self._port), "-t", self.topic, "-q", "1", "-s")
        program = await asyncio.create_subprocess_exec(
            "mosquitto_pub", *command, stdin=asyncio.subprocess.PIPE
        )
        await program.communicate(payload)
        assert program.returncode == 0

    async def empty(self) -> None:
        """Waits until the session was replaced by a clean one, which was closed."""

        async def gone() -> bool:
            connected = self._connected()
            return any(f"as {_session(connected[-1])} (p" in line and ", c1," in line for line in connected)

        await until(gone, "a clean session")

    def _connected(self) -> list[str]:
        """The lines of the log about clients of this test that connected."""
        lines = self._log.read_text()[self._before :].splitlines()
        return [line for line in lines if " as unspool" in line]

    async def close(self) -> None:
        """Has no connection."""


def _session(line: str) -> str:
    """The name of the session in a line of the log of mosquitto."""
    return line.split(" as ")[1].split(maxsplit=1)[0]


class Nats:
    """nats-server; with a stream, JetStream."""

    def __init__(self, port: int, monitoring: int, *, keeps: bool) -> None:
        self.keeps = keeps
        self._port = port
        self._monitoring = monitoring
        self._stream = unused_name("STREAM")
        self._subject = unused_name("greetings")
        options = {"x-stream": self._stream} if keeps else {}
        self.document = document(
            f"nats://127.0.0.1:{port}", address=self._subject, channel={"bindings": {"nats": options}}
        )

    async def open(self) -> None:
        self._client = await nats.connect(f"nats://127.0.0.1:{self._port}", allow_reconnect=False)
        if self.keeps:
            await self._client.jetstream().add_stream(name=self._stream, subjects=[self._subject])

    async def _subscribers(self) -> int:
        if self.keeps:
            # A list of consumers has null in place of one that is just being deleted.
            return (await self._client.jetstream().stream_info(self._stream)).state.consumer_count
        url = f"http://127.0.0.1:{self._monitoring}/connz?subs=1"
        async with aiohttp.ClientSession() as session, session.get(url) as response:
            found = await response.json()
        return sum(self._subject in each.get("subscriptions_list", ()) for each in found["connections"])

    async def subscribed(self, count: int = 1) -> None:
        async def there() -> bool:
            return await self._subscribers() == count

        await until(there, f"{count} subscribers")

    async def send(self, payload: bytes) -> None:
        await self._client.publish(self._subject, payload)
        await self._client.flush()

    async def empty(self) -> None:
        await self.subscribed(0)

    async def close(self) -> None:
        await self._client.close()


class Amqp:
    """RabbitMQ: a queue of others, or a routing key of an exchange."""

    keeps = True

    def __init__(self, port: int, subscription: str, *, queue: bool) -> None:
        self._url = f"amqp://guest:guest@127.0.0.1:{port}/"
        self._name = unused_name("greetings")
        self._queue = queue
        self._subscription = subscription
        binding = {"is": "queue"} if queue else {"is": "routingKey", "exchange": {"name": "amq.topic"}}
        self.document = document(
            f"amqp://127.0.0.1:{port}", address=self._name, channel={"bindings": {"amqp": binding}}
        )

    async def open(self) -> None:
        self._connection = await aiormq.connect(self._url)
        self._channel = await self._connection.channel()
        if self._queue:
            await self._channel.queue_declare(self._name, durable=True)

    async def _declared(self, name: str) -> Any:
        channel = await self._connection.channel()
        try:
            found = await channel.queue_declare(name, passive=True)
        except aiormq.exceptions.ChannelNotFoundEntity:
            return None
        await channel.close()
        return found

    async def subscribed(self, count: int = 1) -> None:
        async def there() -> bool:
            found = await self._declared(self._name if self._queue else self._subscription)
            return found is not None and found.consumer_count == count

        await until(there, f"{count} consumers")

    async def send(self, payload: bytes) -> None:
        exchange = "" if self._queue else "amq.topic"
        await self._channel.basic_publish(payload, exchange=exchange, routing_key=self._name)

    async def empty(self) -> None:
        if self._queue:
            await self.subscribed(0)
            return

        async def gone() -> bool:
            return await self._declared(self._subscription) is None

        await until(gone, "no queue")

    async def close(self) -> None:
        if self._queue:
            await self._channel.queue_delete(self._name)
        await self._connection.close()


class Kafka:
    """A broker that speaks Kafka's protocol."""

    keeps = True

    def __init__(self, port: int, subscription: str) -> None:
        self._server = f"127.0.0.1:{port}"
        self._subscription = subscription
        self._topic = unused_name("greetings")
        self.document = document(f"kafka://{self._server}", address=self._topic)

    async def open(self) -> None:
        self._admin = AIOKafkaAdminClient(bootstrap_servers=self._server)
        await self._admin.start()
        await self._admin.create_topics([NewTopic(self._topic, 1, 1)])
        self._producer = AIOKafkaProducer(bootstrap_servers=self._server)
        await self._producer.start()

    async def subscribed(self, count: int = 1) -> None:
        partition = TopicPartition(self._topic, 0)
        reader = AIOKafkaConsumer(
            bootstrap_servers=self._server, group_id=self._subscription, enable_auto_commit=False
        )
        reader.assign([partition])
        await reader.start()

        async def there() -> bool:
            return await reader.committed(partition) is not None

        try:
            await until(there, "offsets of the group")
        finally:
            await reader.stop()

    async def send(self, payload: bytes) -> None:
        await self._producer.send_and_wait(self._topic, payload)

    async def empty(self) -> None:
        """Kafka keeps the offsets of groups for some days."""

    async def close(self) -> None:
        await self._producer.stop()
        await self._admin.close()
