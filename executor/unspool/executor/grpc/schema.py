"""The services that descriptors describe. Each schema has a pool of its own, so schemas share no names."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from google.protobuf import descriptor_pb2, message_factory
from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message

from unspool.definitions.errors import configuration
from unspool.definitions.spelling import did_you_mean, shown
from unspool.executor.outcome import Rejected

_MOST_NAMES: Final = 20
"""Names that an error shows."""

_MOST_CHARACTERS: Final = 300


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
        methods = self.pool.FindServiceByName(
            full_name_of(service, (self.own, self.imported))
        ).methods_by_name
        if name not in methods:
            detail = f"{shown(service)} has no method '{shown(name)}'{did_you_mean(name, methods)}"
            raise Rejected(configuration(f"{detail}; it has {_listed(methods)}", title="Unknown method"))
        return self._method(methods[name])

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
    own = [
        f"{file.package}.{each.name}".lstrip(".")
        for file in found
        if file.name == main
        for each in file.service
    ]
    return schema_of_files((file.SerializeToString() for file in found), own)


def schema_of_files(files: Iterable[bytes], own: Collection[str]) -> Schema:
    """The schema of serialized `FileDescriptorProto`, of which none precedes what it imports.

    Args:
        files: the files.
        own: full names of the services that are preferred.

    Raises:
        BadDescriptors: they are not valid.
    """
    pool = DescriptorPool()
    services: list[str] = []
    for name in _added(files, pool):
        services += (each.full_name for each in pool.FindFileByName(name).services_by_name.values())
    missing = [name for name in own if name not in services]
    if missing:
        raise BadDescriptors(f"no file describes {missing[0]}")
    return Schema(pool, tuple(own), tuple(name for name in services if name not in own))


def _added(files: Iterable[bytes], pool: DescriptorPool) -> Iterator[str]:
    """Adds files to a pool; yields their names. Raises `BadDescriptors`."""
    try:
        for file in files:
            pool.AddSerializedFile(file)
            yield descriptor_pb2.FileDescriptorProto.FromString(file).name
    except (TypeError, DecodeError) as error:
        raise BadDescriptors(" ".join(str(error).split())[:_MOST_CHARACTERS]) from None


def full_name_of(service: str, known: Iterable[Collection[str]]) -> str:
    """The full name of a service.

    Args:
        service: with its package or without (inventory J20).
        known: full names; a name without package is first looked for in the first ones.

    Raises:
        Rejected: there is no such service, or more than one has the name.
    """
    groups = list(known)
    every = [name for names in groups for name in names]
    if service in every:
        return service
    for names in groups:
        found = [name for name in names if name.rpartition(".")[2] == service]
        if len(found) == 1:
            return found[0]
        if found:
            detail = f"'{shown(service)}' can be {_listed(found)}; write the name with its package"
            raise Rejected(configuration(detail, title="Unknown service"))
    suggestion = did_you_mean(service, (*every, *(name.rpartition(".")[2] for name in every)))
    detail = f"there is no service '{shown(service)}'{suggestion}; there is {_listed(every)}"
    raise Rejected(configuration(detail, title="Unknown service"))


def _listed(names: Iterable[str]) -> str:
    every = sorted(names)
    more = f" and {len(every) - _MOST_NAMES} more" if len(every) > _MOST_NAMES else ""
    return ", ".join(shown(name) for name in every[:_MOST_NAMES]) + more if every else "none"
