"""Calls of gRPC methods: connects, sends messages, receives messages, within limits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import grpc
from yarl import URL

from unspool.definitions import errors
from unspool.definitions.json_value import Json
from unspool.definitions.tasks.call_grpc import PROTO
from unspool.definitions.tasks.request import DOCUMENTS
from unspool.eventstore.records import TaskRequest
from unspool.executor.authentication.credentials import Credentials, Sending
from unspool.executor.authentication.policies import Authentication
from unspool.executor.egress import AddressRefused
from unspool.executor.grpc.channels import Channels
from unspool.executor.grpc.failures import NoConnection, status_error
from unspool.executor.grpc.messages import requests_of, response_of
from unspool.executor.grpc.protoc import Protoc, main_of
from unspool.executor.grpc.schema import Method, Schema, schema_of
from unspool.executor.grpc.target import Target, target_of
from unspool.executor.kinds import HandlerServices
from unspool.executor.outcome import Completed, Faulted, Outcome, Rejected
from unspool.executor.parsed_documents import ParsedDocuments
from unspool.executor.settings import ExecutorSettings
from unspool.executor.task_context import TaskContext

_LARGE_BYTES: Final = 64 * 1024
"""Messages of this size or more are read on a thread."""

_FRAME_BYTES: Final = 5
"""What each message of a stream needs beside its content."""

_AT_DEADLINE: Final = 0.1
"""Seconds before a deadline that count as the deadline: two clocks measure it."""


@asynccontextmanager
async def opened_calls(services: HandlerServices) -> AsyncIterator["GrpcCall"]:
    """The handler. Its channels close with the context."""
    channels = Channels(services.outbound, services.settings.grpc_max_message_bytes)
    try:
        yield GrpcCall(channels, Protoc(services.groups), services.authentication, services.settings)
    finally:
        await channels.close()


@dataclass(frozen=True, slots=True)
class _Call:
    """A call that is ready to be sent."""

    label: str
    method: Method
    requests: list[bytes]
    key: str
    """The idempotency key."""
    credentials: Credentials
    seconds: float
    """How long it may take."""
    deadline: float
    """When it has to end, in the time of the event loop."""


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

    async def __call__(self, request: TaskRequest, context: TaskContext) -> Outcome:
        """Makes one call. Every failure becomes an error that the workflow can catch."""
        try:
            return Completed(await self._output(request, context))
        except Rejected as rejected:
            return Faulted(rejected.error)

    async def _output(self, request: TaskRequest, context: TaskContext) -> Json:
        service = request.arguments["service"]
        target = target_of(service)
        credentials = self._authentication.credentials(_policy(service))
        schema = await self._schemas.get(context, request.arguments[DOCUMENTS][PROTO]["sha256"])
        method = schema.method(service["name"], request.arguments["method"])
        seconds = self._seconds(context)
        call = _Call(
            label=f"{target.authority}/{method.name}",
            method=method,
            requests=requests_of(method, request.arguments.get("arguments")),
            key=request.idempotency_key,
            credentials=credentials,
            seconds=seconds,
            deadline=asyncio.get_running_loop().time() + seconds,
        )
        return await self._send(target, call, context)

    async def _compiled(self, text: str) -> Schema:
        descriptors = await self._protoc.descriptors(text)
        return await asyncio.to_thread(schema_of, descriptors, main_of(text))

    def _seconds(self, context: TaskContext) -> float:
        most = self._settings.grpc_timeout_seconds
        if context.deadline is None:
            return most
        return max(0.001, min(most, context.deadline - asyncio.get_running_loop().time()))

    async def _send(self, target: Target, call: _Call, context: TaskContext) -> Json:
        try:
            async with asyncio.timeout_at(call.deadline), self._channels.channel(target) as channel:
                received = await self._authenticated(channel, target, call)
        except AddressRefused as refused:
            detail = f"{target.authority}: {refused}"
            raise Rejected(errors.authorization(detail, title="Address not allowed")) from None
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                await self._at_deadline(call, context)
            raise Rejected(status_error(call.label, error, call.credentials.secrets)) from None
        except TimeoutError:
            await self._at_deadline(call, context)
            raise
        except NoConnection as none:
            detail = f"{call.label}: {none.cause}"
            raise Rejected(errors.communication(detail, title="No connection", status=503)) from None
        except (OSError, UnicodeError):
            detail = f"{call.label}: the host name could not be resolved"
            raise Rejected(errors.communication(detail, title="No connection")) from None
        output = [await _converted(call.method, message) for message in received]
        return output if call.method.streams_responses else output[0]

    async def _at_deadline(self, call: _Call, context: TaskContext) -> None:
        """Ends a call whose own deadline has passed, and not one of the server.

        At the deadline of the task the executor cancels this: then only the execution knows what timed out.

        Raises:
            Rejected: the limit of the executor has passed.
        """
        now = asyncio.get_running_loop().time()
        if context.deadline is not None and now >= context.deadline - _AT_DEADLINE:
            await asyncio.sleep(10 * _AT_DEADLINE)
        if now >= call.deadline - _AT_DEADLINE:
            raise Rejected(errors.timeout(f"{call.label} took longer than {call.seconds:g} s"))

    async def _authenticated(self, channel: grpc.aio.Channel, target: Target, call: _Call) -> list[bytes]:
        """The messages that the server sends. Raises `AioRpcError` and `Rejected`."""
        url = URL(f"{'https' if target.tls else 'http'}://{target.authority}{call.method.path}")
        sending = Sending("POST", url)
        try:
            return await self._received(channel, call, await call.credentials.header(sending))
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAUTHENTICATED:
                raise
            renewed = await call.credentials.renewed(sending, ())
            if renewed is None:
                raise
        return await self._received(channel, call, renewed)

    async def _received(
        self, channel: grpc.aio.Channel, call: _Call, authorization: str | None
    ) -> list[bytes]:
        """The messages that the server sends. Raises `AioRpcError`, also for credentials that it refuses."""
        method = call.method
        kind = "_".join(
            "stream" if s else "unary" for s in (method.streams_requests, method.streams_responses)
        )
        send = getattr(channel, kind)(method.path)
        sent = call.requests if method.streams_requests else call.requests[0]
        seconds = max(0.0, call.deadline - asyncio.get_running_loop().time())
        answer = send(sent, timeout=seconds, metadata=_metadata(call, authorization))
        if not method.streams_responses:
            return [await answer]
        try:
            return await self._collected(call, answer)
        finally:
            answer.cancel()  # it has no effect after the end of the stream

    async def _collected(self, call: _Call, answer: AsyncIterator[bytes]) -> list[bytes]:
        most, size = self._settings.grpc_max_message_bytes, 0
        received: list[bytes] = []
        async for message in answer:
            received.append(message)
            size += len(message) + _FRAME_BYTES
            if size > most:
                detail = f"{call.label}: the messages of its response are larger than {most} bytes"
                raise Rejected(errors.communication(detail, title="Response too large"))
        return received


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


def _metadata(call: _Call, authorization: str | None) -> tuple[tuple[str, str], ...]:
    """The metadata of a call. Raises `Rejected`."""
    key = ("idempotency-key", call.key)
    if authorization is None:
        return (key,)
    if not (authorization.isascii() and authorization.isprintable()):
        raise Rejected(errors.configuration("the credentials have characters that metadata cannot have"))
    return key, ("authorization", authorization)
