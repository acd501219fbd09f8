"""A real gRPC server: the service of protos/app/greet.proto."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf import descriptor_pb2, message_factory
from google.protobuf.descriptor_pool import DescriptorPool

PROTOS: Final = Path(__file__).parent / "protos"
SERVICE: Final = "GreeterApi.Greeter"
TOKEN: Final = "Bearer t0ken"


@cache
def descriptors(file: str = "greet.proto", folder: Path = PROTOS / "app") -> descriptor_pb2.FileDescriptorSet:
    """Returns the descriptors of a file and its imports."""
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{folder}", "--include_imports"]
    output = subprocess.check_output([*command, "--descriptor_set_out=/dev/stdout", file])
    return descriptor_pb2.FileDescriptorSet.FromString(output)


@cache
def pool() -> DescriptorPool:
    """Returns a pool with the descriptors."""
    pool = DescriptorPool()
    for file in descriptors().file:
        pool.Add(file)
    return pool


class Greeter:
    """Greets by name. A name can be a command: `status NOT_FOUND text`, `wait`, `large 1000`, `private`.

    A chat ends after the name `bye`.
    """

    def __init__(self) -> None:
        service = pool().FindServiceByName(SERVICE)
        self.methods = service.methods_by_name
        self.reply = message_factory.GetMessageClass(pool().FindMessageTypeByName("GreeterApi.HelloReply"))
        self.summary = message_factory.GetMessageClass(pool().FindMessageTypeByName("GreeterApi.Summary"))
        self.port = 0
        self.waiting = 0
        """Calls that wait now."""
        self.keys: list[str] = []
        """The idempotency keys of the calls of SayHello."""
        self.cancelled = 0
        """Calls whose end the server has seen while they waited."""

    def handler(self) -> grpc.GenericRpcHandler:
        kinds = {
            "SayHello": (grpc.unary_unary_rpc_method_handler, self.say_hello),
            "SayHellos": (grpc.unary_stream_rpc_method_handler, self.say_hellos),
            "Collect": (grpc.stream_unary_rpc_method_handler, self.collect),
            "Chat": (grpc.stream_stream_rpc_method_handler, self.chat),
        }
        handlers = {}
        for name, (make, behaviour) in kinds.items():
            request = message_factory.GetMessageClass(self.methods[name].input_type)
            handlers[name] = make(
                behaviour,
                request_deserializer=request.FromString,
                response_serializer=lambda message: message.SerializeToString(),
            )
        return grpc.method_handlers_generic_handler(SERVICE, handlers)

    async def say_hello(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        metadata = {name: str(value) for name, value in context.invocation_metadata() or ()}
        self.keys.append(metadata.get("idempotency-key", ""))
        command, _, rest = request.name.partition(" ")
        if command == "status":
            code, _, text = rest.partition(" ")
            await context.abort(grpc.StatusCode[code], text)
        if command == "wait":
            await self._wait()
        if command == "private" and metadata.get("authorization") != TOKEN:
            await context.abort(
                grpc.StatusCode.UNAUTHENTICATED, f"bad token: {metadata.get('authorization')}"
            )
        if command == "large":
            return self.reply(message="x" * int(rest))
        if not request.echo:
            return self.reply(message=f"Hello {request.name}")
        return self.reply(request=request, metadata=metadata, seconds_left=context.time_remaining() or 0)

    async def say_hellos(self, request: Any, context: grpc.aio.ServicerContext) -> AsyncIterator[Any]:
        name, _, times = request.name.rpartition(" ")
        for number in range(int(times)):
            yield self.reply(message=f"Hello {name} {number}")
        if name in {"status", "wait"}:
            await self.say_hello(type(request)(name=f"{name} ABORTED"), context)

    async def collect(self, requests: AsyncIterator[Any], context: grpc.aio.ServicerContext) -> Any:
        return self.summary(names=[request.name async for request in requests])

    async def chat(
        self, requests: AsyncIterator[Any], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[Any]:
        async for request in requests:
            yield await self.say_hello(request, context)
            if request.name == "bye":
                return

    async def _wait(self) -> None:
        self.waiting += 1
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.waiting -= 1


@asynccontextmanager
async def greeter(
    *handlers: grpc.GenericRpcHandler,
    credentials: grpc.ServerCredentials | None = None,
    port: int = 0,
    register: Callable[[grpc.aio.Server], None] = lambda server: None,
) -> AsyncIterator[Greeter]:
    """Runs the server, with further services."""
    service = Greeter()
    server = grpc.aio.server(options=[("grpc.max_send_message_length", -1), ("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((service.handler(), *handlers))
    register(server)
    address = f"127.0.0.1:{port}"
    service.port = (
        server.add_insecure_port(address)
        if credentials is None
        else server.add_secure_port(address, credentials)
    )
    await server.start()
    try:
        yield service
    finally:
        await server.stop(0)
