"""The handlers of an executor, by queue."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from unspool.definitions import resource
from unspool.definitions.expressions import JqRunner
from unspool.definitions.tasks import call_http, run_shell
from unspool.eventstore.settings import BadSetting
from unspool.executor.egress import AddressScope, EgressPolicy, Endpoint, resolve
from unspool.executor.http.call import HttpCall
from unspool.executor.outbound import open_session
from unspool.executor.outcome import Handler
from unspool.executor.process_groups import ProcessGroups
from unspool.executor.resource import ResourceFetch
from unspool.executor.secret_handler import SecretHandler
from unspool.executor.secrets import LocalSecrets, SecretProvider
from unspool.executor.settings import ExecutorSettings
from unspool.executor.shell import ShellRun


@asynccontextmanager
async def default_handlers(
    settings: ExecutorSettings,
    *,
    store: Iterable[Endpoint] = (),
    jq: JqRunner | None = None,
    secrets: SecretProvider | None = None,
) -> AsyncIterator[dict[str, Handler]]:
    """The handlers of this release. Their connections close with the context.

    Args:
        settings: of the executor.
        store: the servers of the event store (`store_endpoints(url)`); calls to them are refused.
        jq: evaluates expressions that read secrets and do not compile to closures.
        secrets: returns the values of secrets; by default from the environment and from files.

    Raises:
        BadSetting: `UNSPOOL_EGRESS` is neither `private` nor `public`.
    """
    policy = EgressPolicy(_address_scope(settings.egress), await asyncio.to_thread(resolve, store))
    async with open_session(policy, connections=settings.concurrency) as session:
        groups = ProcessGroups()
        resources = ResourceFetch(session, settings)
        try:
            handlers: dict[str, Handler] = {
                call_http.QUEUE: HttpCall(session, settings),
                run_shell.QUEUE: ShellRun(settings, groups),
                resource.QUEUE: resources,
            }
            provider = secrets or LocalSecrets(os.environ, settings.secrets_dir)
            yield {queue: SecretHandler(handler, provider, jq) for queue, handler in handlers.items()}
        finally:
            await resources.close()
            await asyncio.to_thread(groups.close)


def _address_scope(text: str) -> AddressScope:
    try:
        return AddressScope(text.lower())
    except ValueError:
        raise BadSetting(f"UNSPOOL_EGRESS must be private or public, not {text!r}") from None
