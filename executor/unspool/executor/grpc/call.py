"""Calls of gRPC methods: sends messages and receives messages, within limits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import grpc

from unspool.definitions import errors
from unspool.definitions.json_value import Json
from unspool.definitions.tasks.call_grpc import PROTO, TLS
from unspool.definitions.tasks.request import DOCUMENTS
from unspool.eventstore.records import TaskRequest
from unspool.executor.authentication.policies import Authentication
from unspool.executor.grpc.channels import Channels
from unspool.executor.grpc.messages import requests_of, response_of
from unspool.executor.grpc.protoc import Protoc, main_of
from unspool.executor.grpc.reflection import Reflection
from unspool.executor.grpc.remote import Metadata, Remote
from unspool.executor.grpc.schema import Method, Schema, schema_of
from unspool.executor.grpc.server_status import ServerStatus
from unspool.executor.grpc.target import target_of
from unspool.executor.kinds import HandlerServices
from unspool.executor.outcome import Completed, Faulted, Outcome, Rejected
from unspool.executor.parsed_documents import ParsedDocuments
from unspool.executor.settings import ExecutorSettings
from unspool.executor.task_context import TaskContext

_LARGE_BYTES: Final = 64 * 1024
"""Messages of this size or more are read on a thread."""

_FRAME_BYTES: Final = 5
"""What each message of a stream needs beside its content."""


@asynccontextmanager
async def open_handler(services: HandlerServices) -> AsyncIterator["GrpcCall"]:
    """Opens the handler. Its channels close with the context."""
    channels = Channels(services.outbound, services.settings.grpc_max_message_bytes)
    try:
        yield GrpcCall(channels, Protoc(services.groups), services.authentication, services.settings)
    finally:
        await channels.close()


class GrpcCall:
    """Runs `call: grpc` tasks (inventory J19-J21)."""

    def __init__(
        self, channels: Channels, protoc: Protoc, authentication: Authentication, settings: ExecutorSettings
    ) -> None:
        self._channels = channels
        self._protoc = protoc
        self._authentication = authentication
        self._settings = settings
        self._schemas: ParsedDocuments[Schema] = ParsedDocuments(self._compiled)
        self._reflection = Reflection(settings.resource_max_bytes, settings.resource_cache_seconds)

    async def __call__(self, request: TaskRequest, context: TaskContext) -> Outcome:
        """Makes one call. Every failure becomes an error that the workflow can catch."""
        try:
            return Completed(await self._output(request, context))
        except Rejected as rejected:
            return Faulted(rejected.error)

    async def _output(self, request: TaskRequest, context: TaskContext) -> Json:
        service = request.arguments["service"]
        remote = self._remote(request, context)
        schema = await self._schema(request, context, remote)
        method = schema.method(service["name"], request.arguments["method"])
        requests = requests_of(method, request.arguments.get("arguments"))
        exchange = _Exchange(method, requests, self._settings.grpc_max_message_bytes)
        received = await remote.call(method.path, exchange.send)
        output = [await _converted(method, message) for message in received]
        return output if method.streams_responses else output[0]

    def _remote(self, request: TaskRequest, context: TaskContext) -> Remote:
        """The server of a task. Raises `Rejected`."""
        service = request.arguments["service"]
        now = asyncio.get_running_loop().time()
        left = [] if context.deadline is None else [max(0.001, context.deadline - now)]
        seconds = min([self._settings.grpc_timeout_seconds, *left])
        return Remote(
            channels=self._channels,
            target=target_of(service, tls=request.arguments.get(TLS)),
            credentials=self._authentication.credentials(_policy(service)),
            key=request.idempotency_key,
            seconds=seconds,
            deadline=now + seconds,
            task_deadline=context.deadline,
        )

    async def _schema(self, request: TaskRequest, context: TaskContext, remote: Remote) -> Schema:
        """What the proto describes; without one, what the server says of itself. Raises `Rejected`."""
        service = request.arguments["service"]
        documents = request.arguments.get(DOCUMENTS, {})
        if PROTO in documents:
            return await self._schemas.get(context, documents[PROTO]["sha256"])
        return await self._reflection.schema(remote, service["name"], _policy(service))

    async def _compiled(self, text: str) -> Schema:
        descriptors = await self._protoc.descriptors(text)
        return await asyncio.to_thread(schema_of, descriptors, main_of(text))


@dataclass(frozen=True, slots=True)
class _Exchange:
    """The messages of one call."""

    method: Method
    requests: list[bytes]
    most_bytes: int
    """Of all messages that are received."""

    async def send(self, channel: grpc.aio.Channel, metadata: Metadata, seconds: float) -> list[bytes]:
        """The messages that the server sends. Raises `AioRpcError`, and `Rejected` if they are too large."""
        method = self.method
        multicallable = _multicallable(channel, method)
        requests = self.requests if method.streams_requests else self.requests[0]
        answer = multicallable(requests, timeout=seconds, metadata=metadata)
        status, received = ServerStatus(answer), list[bytes]()
        try:
            if not method.streams_responses:
                return [await answer]
            await self._collect(answer, received)
        except grpc.aio.AioRpcError as raised:
            if (error := status.of(raised)) is not None:
                raise error from None
            if not method.streams_responses:
                raise
        finally:
            answer.cancel()  # it has no effect after the end of the call
        return received

    async def _collect(self, answer: AsyncIterator[bytes], received: list[bytes]) -> None:
        size = 0
        async for message in answer:
            received.append(message)
            size += len(message) + _FRAME_BYTES
            if size > self.most_bytes:
                detail = f"{self.method.name} answered with more than {self.most_bytes} bytes"
                raise Rejected(errors.communication(detail, title="Response too large"))


def _multicallable(channel: grpc.aio.Channel, method: Method) -> Any:
    """What makes a call of a method. It sends and receives bytes."""
    make = {
        (False, False): channel.unary_unary,
        (False, True): channel.unary_stream,
        (True, False): channel.stream_unary,
        (True, True): channel.stream_stream,
    }
    return make[method.streams_requests, method.streams_responses](method.path)


async def _converted(method: Method, message: bytes) -> Json:
    if len(message) < _LARGE_BYTES:
        return response_of(method, message)
    return await asyncio.to_thread(response_of, method, message)


def _policy(service: dict[str, Json]) -> Json:
    """The authentication of a service. Raises `Rejected` for a kind that gRPC does not have."""
    policy = service.get("authentication")
    if isinstance(policy, dict) and "digest" in policy:
        raise Rejected(errors.configuration("digest authentication is for HTTP; a gRPC call cannot have it"))
    return policy
