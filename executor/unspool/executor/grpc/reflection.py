"""Server reflection: a server describes its services itself, for calls without a proto.

Source: grpc/reflection/v1/reflection.proto. Many servers have only v1alpha, whose messages are the same.
"""

import asyncio
import hashlib
import time
from collections import OrderedDict, deque
from contextlib import suppress
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final

import grpc
import orjson
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import DecodeError
from grpc_reflection.v1alpha import reflection_pb2

from unspool.definitions.errors import communication, configuration
from unspool.definitions.json_value import Json
from unspool.definitions.spelling import shown
from unspool.executor.grpc.proto_files import MOST_FILES
from unspool.executor.grpc.remote import Metadata, Remote
from unspool.executor.grpc.schema import BadDescriptors, Schema, full_name_of, schema_of_files
from unspool.executor.grpc.server_status import ServerStatus
from unspool.executor.outcome import Rejected

_PATHS: Final = tuple(
    f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo" for version in ("v1", "v1alpha")
)
_MOST_SCHEMAS: Final = 100
_MOST_SERVICES: Final = 10_000
_ENDED: Final = "the server ended the answer"


class Reflection:
    """Asks servers for their services, and keeps the answers for some seconds."""

    def __init__(self, most_bytes: int, seconds: float) -> None:
        """Takes how large all descriptors of a service may be, and how long they are kept."""
        self._most_bytes = most_bytes
        self._seconds = seconds
        self._known: OrderedDict[str, tuple[float, Schema]] = OrderedDict()

    async def schema(self, remote: Remote, service: str, policy: Json) -> Schema:
        """The schema of a service.

        Args:
            remote: the server.
            service: its name, with the package or without.
            policy: the authentication. Each has its own answers.

        Raises:
            Rejected: the server has no reflection, or no such service.
        """
        key = _key(remote, service, policy)
        known = self._known.get(key)
        if known is not None and time.monotonic() < known[0] + self._seconds:
            return known[1]
        asked = _Asked(service, self._most_bytes)
        schema = await remote.call(_PATHS[0], asked.send)
        self._known[key] = time.monotonic(), schema
        self._known.move_to_end(key)
        if len(self._known) > _MOST_SCHEMAS:
            self._known.popitem(last=False)
        return schema


class _Asked:
    """One question for the descriptors of a service."""

    def __init__(self, service: str, most_bytes: int) -> None:
        self._service = service
        self._most_bytes = most_bytes

    async def send(self, channel: grpc.aio.Channel, metadata: Metadata, seconds: float) -> Schema:
        """The schema. Raises `AioRpcError` and `Rejected`."""
        for path in _PATHS:
            stream = channel.stream_stream(path)(metadata=metadata, timeout=seconds)
            status = ServerStatus(stream)
            try:
                return await self._schema(_Stream(stream))
            except grpc.aio.AioRpcError as raised:
                error = status.of(raised)
                if error is None:
                    raise _unusable(_ENDED) from None
                if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                    raise error from None
            finally:
                stream.cancel()
        detail = "the server does not describe its services (server reflection), so the call needs a proto"
        raise Rejected(configuration(detail, title="No reflection"))

    async def _schema(self, stream: "_Stream") -> Schema:
        listed = await stream.ask(list_services="*")
        services = [each.name for each in listed.list_services_response.service[:_MOST_SERVICES]]
        name = full_name_of(self._service, (services,))
        first = await stream.files(file_containing_symbol=name)
        files = {file.name: file for file in first}
        waiting = deque(first)
        while waiting:
            for dependency in waiting.popleft().dependency:
                if dependency not in files:
                    found = await stream.files(file_by_filename=dependency)
                    files |= {file.name: file for file in found if file.name not in files}
                    waiting += found
                    if dependency not in files:
                        raise _unusable(f"the server does not describe '{shown(dependency)}'")
            if len(files) > MOST_FILES or stream.size > self._most_bytes:
                raise _unusable(f"there are more than {MOST_FILES} files or {self._most_bytes} bytes")
        try:
            return await asyncio.to_thread(_sorted_schema, files, name)
        except BadDescriptors as bad:
            raise _unusable(str(bad)) from None


class _Stream:
    """Questions and answers on one stream."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.size = 0
        """Bytes of all answers."""

    async def ask(self, **question: str) -> Any:
        """The answer to a question. Raises `AioRpcError`, and `Rejected` for an error."""
        with suppress(asyncio.InvalidStateError):  # the server has ended the stream: reading says how
            await self._stream.write(reflection_pb2.ServerReflectionRequest(**question).SerializeToString())
        answer = await self._stream.read()
        if answer is grpc.aio.EOF:
            raise _unusable(_ENDED)
        self.size += len(answer)
        try:
            read = reflection_pb2.ServerReflectionResponse.FromString(answer)
        except DecodeError:
            raise _unusable("the answer of the server cannot be read") from None
        if read.HasField("error_response"):
            raise _unusable(shown(read.error_response.error_message, 200))
        return read

    async def files(self, **question: str) -> list[FileDescriptorProto]:
        """The files of an answer."""
        answer = await self.ask(**question)
        try:
            return [
                FileDescriptorProto.FromString(file)
                for file in answer.file_descriptor_response.file_descriptor_proto
            ]
        except DecodeError:
            raise _unusable("a descriptor cannot be read") from None


def _sorted_schema(files: dict[str, FileDescriptorProto], service: str) -> Schema:
    """The schema of files in any order. Raises `BadDescriptors`."""
    try:
        order = list(
            TopologicalSorter({name: file.dependency for name, file in files.items()}).static_order()
        )
    except CycleError:
        raise BadDescriptors("the files import each other in a circle") from None
    return schema_of_files([files[name].SerializeToString() for name in order], own=[service])


def _key(remote: Remote, service: str, policy: Json) -> str:
    target = remote.target
    asked = [target.host, target.port, target.tls, service, policy]
    return hashlib.sha256(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _unusable(cause: str) -> Rejected:
    return Rejected(communication(f"server reflection failed: {cause}", title="Reflection failed"))
