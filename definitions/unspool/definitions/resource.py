"""External resources: texts outside of a definition that tasks need (dsl-reference.md, "External Resource").

A task that needs one has a `ResourceReference`. The worker evaluates its address, and an executor fetches the
text, which `fetched.py` compiles. Within one execution a text is fetched once for each *key*: what it is used
as, its address, and the authentication.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from unspool.definitions.evaluable import Evaluable
from unspool.definitions.expressions import NOW, Budget, ExpressionError
from unspool.definitions.json_value import Json
from unspool.definitions.resource_address import problem_of_address
from unspool.definitions.resource_kind import ResourceKind
from unspool.definitions.tasks.queues import RESOURCE_QUEUE
from unspool.definitions.uri_template import Address

QUEUE: Final = RESOURCE_QUEUE

KIND: Final = "kind"
"""The member of a request's arguments that has the kind of the resource, if the executor needs it."""

CHANGING: Final = frozenset({"authorization", "context", "input", NOW, "output", "secrets", "task"})
"""Variables that addresses cannot read: their values can change while a task runs, or are secret."""


@dataclass(frozen=True, slots=True)
class ResourceReference:
    """A resource that a task needs. Its value as an `Evaluable` is its complete address."""

    kind: ResourceKind
    written: Address
    complete: Callable[[str], str] = field(compare=False)
    """Makes the complete address of the one that is written."""
    authentication: Evaluable | None = None
    """The arguments of the request beside the address."""
    mark: str = ""
    """Tells keys of one address with different authentications apart."""

    @property
    def variables(self) -> frozenset[str]:
        """The names of the expression arguments that the address reads."""
        return self.written.variables

    def evaluate_within(self, value: Json, variables: Mapping[str, Json], budget: Budget) -> str:
        """Returns the complete address. Raises `ExpressionError`, also if it is not an address."""
        written = self.written.evaluate_within(value, variables, budget)
        problem = problem_of_address(written)
        if problem is not None:
            raise ExpressionError(f"the address of a {self.kind} cannot be used: {problem}")
        return self.complete(written)

    def key(self, address: str) -> str:
        """Returns the key of the text at an address."""
        return f"{self.kind} {address}{self.mark}"


def name_of(key: str) -> str:
    """Returns the address in a key, with the mark of its authentication. It names a function in pointers."""
    return key.partition(" ")[2]


def address_of(key: str) -> str:
    """Returns the address in a key."""
    return name_of(key).partition(" ")[0]
