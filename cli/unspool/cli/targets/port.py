"""The port: what commands and agents need of a deployment.

Executions, schedules, dead letters, keys and functions are JSON as the API shows them (docs/api.md).
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from unspool.cli.deployed import Named
from unspool.definitions.document import Document
from unspool.definitions.json_value import Json
from unspool.eventstore.api_keys import Scope
from unspool.eventstore.events import Event
from unspool.eventstore.listing import ExecutionFilter
from unspool.eventstore.records import MessageKind, WorkflowRef
from unspool.eventstore.tags import Tags

JsonObject = Mapping[str, Json]


class NewExecution(NamedTuple):
    """An execution to start."""

    workflow: Named
    input: Json
    id: str | None
    tags: Tags


class Started(NamedTuple):
    """The execution of a start."""

    execution: JsonObject
    created: bool
    """Whether it is new; if not, it has the same id or the same idempotency key."""


class Deployed(NamedTuple):
    """A definition that was stored."""

    ref: WorkflowRef
    created: bool
    """Whether it is new; if not, the same text was stored before."""
    warnings: Sequence[str] = ()
    """What services of an older release that are alive do not know, with the place in the file."""


class Operated(NamedTuple):
    """An execution or a schedule after an operation was requested."""

    after: JsonObject
    applied: bool
    """Whether the operation has taken effect."""


class NewKey(NamedTuple):
    """A key to create."""

    name: str
    scopes: tuple[Scope, ...]
    all_tenants: bool
    expires_at: int | None
    """Milliseconds since 1970."""


class Workflows(Protocol):
    """Definitions."""

    async def deploy(self, document: Document) -> Deployed:
        """Stores a checked definition.

        Raises:
            CommandError: the version exists with another text.
        """
        ...

    async def listening(self, documents: Sequence[Document]) -> None:
        """Waits for some seconds until the schedules of deployed definitions listen to their events."""
        ...

    async def workflows(self) -> list[JsonObject]:
        """Lists all versions of all workflows."""
        ...

    async def resolve(self, workflow: Named) -> WorkflowRef:
        """Returns the version of a workflow that a name means.

        Raises:
            CommandError: it is not deployed.
        """
        ...

    async def definition(self, ref: WorkflowRef) -> str:
        """Returns the text of a definition.

        Raises:
            CommandError: it is not deployed.
        """
        ...

    async def functions(self) -> list[JsonObject]:
        """Lists the functions that executors have registered, by name and version."""
        ...


class Executions(Protocol):
    """Executions. Methods with an id raise `CommandError` if there is no execution with that id."""

    async def start(self, new: NewExecution) -> Started:
        """Starts an execution, or returns the one with its id or idempotency key.

        Raises:
            CommandError: the workflow is not deployed, or the id belongs to something else.
        """
        ...

    async def executions(
        self, criteria: ExecutionFilter, limit: int, *, summary: bool = False
    ) -> list[JsonObject]:
        """Returns the executions that match, the newest first; a summary has neither input nor output."""
        ...

    async def execution(self, id_: str, *, wait: float = 0.0) -> JsonObject:
        """Returns an execution as soon as it has ended, or after `wait` seconds."""
        ...

    async def history(self, id_: str, *, after: int = 0, limit: int | None = None) -> list[Event]:
        """Returns the events after one, at most `limit`."""
        ...

    async def why(self, id_: str) -> JsonObject:
        """Returns why an execution waits: `sentence` and `waitsFor`."""
        ...

    async def operate(self, kind: MessageKind, id_: str, reason: str | None, wait: float) -> Operated:
        """Cancels, suspends, resumes or retries an execution; waits at most `wait` seconds for the effect.

        Raises:
            CommandError: its status does not allow it.
        """
        ...

    async def no_worker(self, id_: str) -> str:
        """Says why an operation may not have taken effect yet."""
        ...

    async def counts(self) -> JsonObject:
        """Returns how many executions are in each status: `executions` and `atLeast`."""
        ...


class Operation(Protocol):
    """Events, schedules, dead letters, keys and services."""

    async def publish(self, events: Sequence[JsonObject]) -> int | None:
        """Publishes events, all or none; returns how many are new, None if that is not known."""
        ...

    async def schedules(self) -> list[JsonObject]:
        """Lists the schedules of deployed definitions."""
        ...

    async def operate_schedule(
        self, kind: MessageKind, id_: str, reason: str | None, wait: float
    ) -> Operated:
        """Pauses or resumes a schedule; waits at most `wait` seconds for the effect.

        Raises:
            CommandError: there is no schedule with that id.
        """
        ...

    async def dead_letters(self, execution: str | None, limit: int) -> list[JsonObject]:
        """Lists dead letters, the oldest first."""
        ...

    async def dead_letter(self, id_: str) -> JsonObject:
        """Returns a dead letter with its original and traceback.

        Raises:
            CommandError: there is none with that id.
        """
        ...

    async def requeue(self, id_: str, reason: str | None) -> None:
        """Puts a dead letter back into its queue. Raises as `dead_letter`."""
        ...

    async def discard(self, id_: str, reason: str | None) -> None:
        """Deletes a dead letter. Raises as `dead_letter`."""
        ...

    async def keys(self) -> list[JsonObject]:
        """Lists the keys that the caller may see, without their secrets."""
        ...

    async def create_key(self, new: NewKey) -> JsonObject:
        """Creates a key; the answer has its secret as `key`."""
        ...

    async def revoke_key(self, id_: str) -> None:
        """Revokes a key.

        Raises:
            CommandError: there is none with that id.
        """
        ...

    async def services(self) -> JsonObject:
        """Returns the services that are alive, the queues and the store."""
        ...


class Target(Workflows, Executions, Operation, Protocol):
    """A deployment."""
