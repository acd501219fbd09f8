"""Tasks that executors run: the kind of their handler, and their arguments."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from unspool.definitions.evaluable import Evaluable
from unspool.definitions.expressions import Budget
from unspool.definitions.json_value import Json
from unspool.definitions.resource import ResourceReference
from unspool.definitions.tasks.queues import SHARED_QUEUE

KIND: Final = "$kind"
"""The member of a request's arguments that has the kind of its handler, if kinds share the queue."""

DOCUMENTS: Final = "$documents"
"""The member of a request's arguments that has the external resources of the task: by name, the address and
the hash of the text."""

_SHARED_KINDS: Final = frozenset({"a2a", "asyncapi", "container", "grpc", "mcp", "openapi", "script"})
"""Kinds that share a queue."""


def queue_of(kind: str) -> str:
    """Returns the queue of the requests for a kind of handler."""
    return SHARED_QUEUE if kind in _SHARED_KINDS else kind


class Arguments(Protocol):
    """The arguments of a handler, not evaluated."""

    @property
    def variables(self) -> frozenset[str]:
        """The names of the expression arguments that they read."""

    def evaluate_within(self, value: Json, variables: Mapping[str, Json], budget: Budget) -> dict[str, Json]:
        """Returns the evaluated arguments. Raises `ExpressionError`."""


@dataclass(frozen=True, slots=True)
class Request:
    """Work for an executor."""

    kind: str
    """The kind of the handler, such as `http`."""
    arguments: Arguments
    authorization: Evaluable | None = None
    """What expressions outside of the arguments read as `$authorization`."""
    detached: bool = False
    """Whether the workflow does not wait for it. Then its output is its input."""
    returns_input: bool = False
    """Whether the output of the task is its input, because the handler returns nothing."""
    documents: Mapping[str, ResourceReference] = field(default_factory=dict)
    """External resources that the handler needs, such as an OpenAPI document. They are fetched first."""

    @property
    def resources(self) -> tuple[ResourceReference, ...]:
        """The external resources of the task."""
        return tuple(self.documents.values())

    def with_members(self, arguments: dict[str, Json], documents: Json) -> dict[str, Json]:
        """Returns evaluated arguments with the members that the executor needs beside them.

        Args:
            arguments: the evaluated arguments.
            documents: the address and the hash of each document, by name.
        """
        added: dict[str, Json] = {KIND: self.kind} if self.kind in _SHARED_KINDS else {}
        if self.documents:
            added[DOCUMENTS] = documents
        return {**arguments, **added} if added else arguments


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A task that cannot be executed. An execution that reaches it faults with a `configuration` error."""

    cause: str
    instance: str | None = None
    """The `instance` of the error, if it is not the task."""
