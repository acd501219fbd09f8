"""The services that descriptors describe. Each schema has a pool of its own, so schemas share no names."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from google.protobuf import descriptor_pb2, message_factory
from google.protobuf.descriptor import Descriptor, FileDescriptor, MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message

from unspool.definitions.errors import configuration
from unspool.definitions.spelling import did_you_mean, shown
from unspool.executor.outcome import Rejected

_MOST_NAMES: Final = 20
"""Names that an error shows."""


class BadDescriptors(Exception):
    """Descriptors that contradict each other, or that no file has."""


@dataclass(frozen=True, slots=True)
class Method:
    """A method of a service."""

    path: str
    """As it is sent: `/package.Service/Method`."""
    streams_requests: bool
    streams_responses: bool
    takes: Descriptor
    """The type of a request."""
    request: type[Message]
    response: type[Message]
    pool: DescriptorPool

    @property
    def name(self) -> str:
        """The name as errors show it: `package.Service/Method`."""
        return self.path[1:]


@dataclass(frozen=True, slots=True)
class Schema:
    """The services of some files."""

    pool: DescriptorPool
    own: tuple[str, ...]
    """Full names of the services in the main file."""
    imported: tuple[str, ...]
    """Full names of the services in the files that it imports."""

    def method(self, service: str, name: str) -> Method:
        """The method of a service.

        Args:
            service: with its package or without (inventory J20).
            name: of the method.

        Raises:
            Rejected: there is no such method, or more than one service has the name.
        """
        methods = self.pool.FindServiceByName(self._full_name(service)).methods_by_name
        if name not in methods:
            detail = f"{shown(service)} has no method '{shown(name)}'{did_you_mean(name, methods)}"
            raise Rejected(configuration(f"{detail}; it has {_listed(methods)}", title="Unknown method"))
        return self._method(methods[name])

    def _full_name(self, service: str) -> str:
        every = (*self.own, *self.imported)
        if service in every:
            return service
        for names in (self.own, self.imported):
            found = [name for name in names if name.rpartition(".")[2] == service]
            if len(found) == 1:
                return found[0]
            if found:
                detail = f"'{shown(service)}' can be {_listed(found)}; write the name with its package"
                raise Rejected(configuration(detail, title="Unknown service"))
        names = (*every, *(name.rpartition(".")[2] for name in every))
        detail = f"there is no service '{shown(service)}'{did_you_mean(service, names)}"
        raise Rejected(configuration(f"{detail}; there is {_listed(every)}", title="Unknown service"))

    def _method(self, method: MethodDescriptor) -> Method:
        return Method(
            path=f"/{method.containing_service.full_name}/{method.name}",
            streams_requests=method.client_streaming,
            streams_responses=method.server_streaming,
            takes=method.input_type,
            request=message_factory.GetMessageClass(method.input_type),
            response=message_factory.GetMessageClass(method.output_type),
            pool=self.pool,
        )


def schema_of(files: bytes, main: str) -> Schema:
    """The schema of a serialized `FileDescriptorSet`, in which no file precedes what it imports.

    Raises:
        BadDescriptors: they are not valid.
    """
    try:
        found = descriptor_pb2.FileDescriptorSet.FromString(files).file
    except DecodeError as error:
        raise BadDescriptors(str(error)) from None
    return _schema((file.SerializeToString() for file in found), {main})


def _schema(files: Iterable[bytes], main: set[str]) -> Schema:
    pool = DescriptorPool()
    added: list[FileDescriptor] = []
    try:
        for file in files:
            name = descriptor_pb2.FileDescriptorProto.FromString(file).name
            pool.AddSerializedFile(file)
            added.append(pool.FindFileByName(name))
    except (TypeError, KeyError, DecodeError) as error:
        raise BadDescriptors(str(error)) from None
    own, imported = (
        tuple(
            service.full_name
            for file in added
            if (file.name in main) is is_main
            for service in file.services_by_name.values()
        )
        for is_main in (True, False)
    )
    return Schema(pool, own, imported)


def _listed(names: Iterable[str]) -> str:
    every = sorted(names)
    more = f" and {len(every) - _MOST_NAMES} more" if len(every) > _MOST_NAMES else ""
    return ", ".join(shown(name) for name in every[:_MOST_NAMES]) + more if every else "none"
