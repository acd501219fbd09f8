"""The adapter for the API of a deployment."""

import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from datetime import datetime
from typing import Final

from unspool.cli.deployed import Named, not_deployed
from unspool.cli.deployment import identity
from unspool.cli.exits import CommandError, Exit
from unspool.cli.options import Place, milliseconds
from unspool.cli.settings import ProgramSettings
from unspool.cli.targets.api_operation import ApiOperation
from unspool.cli.targets.port import Deployed, JsonObject, NewExecution, Operated, Started
from unspool.client import AsyncClient, ClientError, Execution, NoAnswer, NotFound, Unavailable
from unspool.definitions.document import Document
from unspool.eventstore.clock import instant, rfc3339
from unspool.eventstore.events import Event
from unspool.eventstore.ids import EXECUTION_ID
from unspool.eventstore.listing import ExecutionFilter
from unspool.eventstore.records import DEFAULT_TENANT, MessageKind, WorkflowRef
from unspool.eventstore.semver import order
from unspool.eventstore.settings import from_environment

_MOST_PER_PAGE: Final = 200


@asynccontextmanager
async def api_target(place: Place, address: str) -> AsyncIterator["ApiTarget"]:
    """The API at an address, with the key in UNSPOOL_TOKEN. Errors of the client become those of commands.

    Without a tenant of its own a command leaves it to the key.

    Raises:
        CommandError: as the methods do; and if the API cannot be reached or refuses a request.
    """
    token = from_environment(ProgramSettings, os.environ).token or None
    with as_command_errors():
        async with AsyncClient(address, token=token, tenant=tenant_to_send(place.tenant)) as client:
            yield ApiTarget(client)


def tenant_to_send(tenant: str) -> str | None:
    """Returns the tenant for `X-Tenant`; None for that of the key."""
    return None if tenant == DEFAULT_TENANT else tenant


@contextmanager
def as_command_errors() -> Iterator[None]:
    """Turns errors of the client into those of commands."""
    try:
        yield
    except (NoAnswer, Unavailable) as error:
        raise CommandError(str(error), Exit.UNREACHABLE) from None
    except (ClientError, ValueError) as error:
        raise CommandError(str(error)) from None


class ApiTarget(ApiOperation):
    """The API that a client calls."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    # -- workflows

    async def deploy(self, document: Document) -> Deployed:
        """As the port says."""
        ref = identity(document)
        before = await self._versions(Named(ref.namespace, ref.name, None))
        deployed = await self._client.deploy(document.text)
        return Deployed(ref, ref not in before, deployed.warnings)

    async def listening(self, documents: Sequence[Document]) -> None:
        """As the port says: the API has waited when it answers."""

    async def workflows(self) -> list[JsonObject]:
        """As the port says."""
        found = await self._client.workflows()
        return [
            {
                "namespace": each.namespace,
                "name": each.name,
                "version": each.version,
                "createdAt": each.created_at and _rfc3339(each.created_at),
            }
            for each in found
        ]

    async def resolve(self, workflow: Named) -> WorkflowRef:
        """As the port says."""
        found = await self._versions(workflow)
        if workflow.version is not None:
            found = [ref for ref in found if ref.version == workflow.version]
        if not found:
            raise await self._not_deployed(workflow)
        return max(found, key=lambda ref: order(ref.version))

    async def _versions(self, workflow: Named) -> list[WorkflowRef]:
        try:
            found = await self._client.versions(f"{workflow.namespace}/{workflow.name}")
        except NotFound:
            return []
        return [WorkflowRef(each.namespace, each.name, each.version) for each in found]

    async def _not_deployed(self, workflow: Named) -> CommandError:
        found = await self._client.workflows()
        return not_deployed(
            workflow, [WorkflowRef(each.namespace, each.name, each.version) for each in found]
        )

    async def definition(self, ref: WorkflowRef) -> str:
        """As the port says."""
        with _missing(f"the definition {ref} is not deployed"):
            return await self._client.definition(str(ref))

    # -- executions

    async def start(self, new: NewExecution) -> Started:
        """As the port says."""
        namespace, name, version = new.workflow
        workflow = f"{namespace}/{name}:{version}" if version else f"{namespace}/{name}"
        try:
            started = await self._client.start(workflow, new.input, id=new.id, tags=new.tags)
        except NotFound:
            raise await self._not_deployed(new.workflow) from None
        return Started(started.document, started.accepted)

    async def executions(
        self, criteria: ExecutionFilter, limit: int, *, summary: bool = False
    ) -> list[JsonObject]:
        """As the port says."""
        found: list[JsonObject] = []
        async with aclosing(_matching(self._client, criteria, limit, summary=summary)) as executions:
            async for execution in executions:
                found.append(execution.document)
                if len(found) == limit:
                    break
        return found

    async def execution(self, id_: str, *, wait: float = 0.0) -> JsonObject:
        """As the port says."""
        with _of(id_):
            return (await self._client.execution(id_, wait=wait or None)).document

    async def history(self, id_: str, *, after: int = 0, limit: int | None = None) -> list[Event]:
        """As the port says."""
        with _of(id_):
            found = await self._client.history(id_, after=after, limit=limit)
        return [Event(e.seq, e.type, milliseconds(e.time), e.task, e.run, dict(e.data)) for e in found]

    async def why(self, id_: str) -> JsonObject:
        """As the port says."""
        with _of(id_):
            why = await self._client.why(id_)
        return {"sentence": why.sentence, "waitsFor": why.waits_for}

    async def operate(self, kind: MessageKind, id_: str, reason: str | None, wait: float) -> Operated:
        """As the port says."""
        operations = {
            MessageKind.CANCEL: self._client.cancel,
            MessageKind.SUSPEND: self._client.suspend,
            MessageKind.RESUME: self._client.resume,
            MessageKind.RETRY: self._client.retry,
        }
        with _of(id_):
            execution = await operations[kind](id_, reason=reason, wait=wait or None)
        return Operated(execution.document, not execution.accepted)

    async def no_worker(self, id_: str) -> str:
        """As the port says."""
        for letter in await self.dead_letters(id_, 1):
            return f"it is stuck: {letter['error']} (dead letter {letter['id']})"
        return "is a worker running?"

    async def counts(self) -> JsonObject:
        """As the port says."""
        counts = await self._client.counts()
        return {"executions": counts.executions, "atLeast": sorted(counts.at_least)}


@contextmanager
def _missing(message: str) -> Iterator[None]:
    """Says in the words of commands what does not exist."""
    try:
        yield
    except NotFound:
        raise CommandError(message) from None


@contextmanager
def _of(id_: str) -> Iterator[None]:
    """Says in the words of commands that an execution does not exist."""
    if not EXECUTION_ID.fullmatch(id_):
        raise CommandError(f"{id_!r} is not an execution's id")
    with _missing(f"there is no execution {id_}"):
        yield


def _matching(
    client: AsyncClient, criteria: ExecutionFilter, limit: int, *, summary: bool
) -> AsyncGenerator[Execution, None]:
    workflow = None if criteria.workflow is None else "/".join(criteria.workflow)
    return client.executions(
        status=sorted(criteria.statuses),
        workflow=f"{workflow}:{criteria.version}" if criteria.version else workflow,
        since=_time(criteria.since),
        until=_time(criteria.until),
        id=criteria.id if criteria.id_prefix is None else f"{criteria.id_prefix}*",
        parent=criteria.parent,
        tags=criteria.tags,
        summary=summary,
        page_size=min(limit, _MOST_PER_PAGE),
    )


def _time(time: int | None) -> datetime | None:
    return None if time is None else instant(time)


def _rfc3339(time: datetime) -> str:
    return rfc3339(milliseconds(time))
