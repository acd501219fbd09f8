"""Definitions in a store, as commands name them: NAMESPACE/NAME or NAMESPACE/NAME:VERSION."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from unspool.cli.exits import CommandError
from unspool.cli.options import workflow_name
from unspool.definitions.spelling import did_you_mean
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import WorkflowRef

_MOST_VERSIONS: Final = 10


class Named(NamedTuple):
    """A workflow that a command names."""

    namespace: str
    name: str
    version: str | None
    """None for the latest version."""


def named(workflow: str) -> Named:
    """Returns the parts of NAMESPACE/NAME[:VERSION].

    Raises:
        CommandError: the text has another form.
    """
    path, _, version = workflow.partition(":")
    return Named(*workflow_name(path), None if version in {"", "latest"} else version)


async def deployed(store: EventStore, tenant: str, workflow: Named) -> WorkflowRef:
    """Returns the identity of a stored definition.

    Raises:
        CommandError: it is not deployed; the message has its versions, or a similar name.
    """
    ref = await store.resolve(tenant, *workflow)
    if ref is None:
        raise not_deployed(workflow, [found.ref for found in await store.definitions(tenant)])
    return ref


def not_deployed(workflow: Named, known: Sequence[WorkflowRef]) -> CommandError:
    """Returns the error for a definition that is not deployed: with its versions, or a similar name.

    `known` are the definitions that are deployed.
    """
    namespace, name, version = workflow
    path = f"{namespace}/{name}"
    message = f"the definition {path}{f':{version}' if version else ''} is not deployed"
    if versions := [ref.version for ref in known if (ref.namespace, ref.name) == (namespace, name)]:
        return CommandError(f"{message}; there are the versions {', '.join(versions[-_MOST_VERSIONS:])}")
    names = sorted({f"{ref.namespace}/{ref.name}" for ref in known})
    return CommandError(f"{message}{did_you_mean(path, names) or '; deploy it with `unspool deploy FILE`'}")
