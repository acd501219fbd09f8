"""The handlers of an executor, by queue."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from unspool.definitions.tasks import call_http, run_shell
from unspool.eventstore.settings import BadSetting
from unspool.executor.egress import AddressScope, EgressPolicy, Endpoint, resolve
from unspool.executor.http.call import HttpCall
from unspool.executor.outbound import open_session
from unspool.executor.outcome import Handler
from unspool.executor.process_groups import ProcessGroups
from unspool.executor.settings import ExecutorSettings
from unspool.executor.shell import ShellRun


@asynccontextmanager
async def default_handlers(
    settings: ExecutorSettings, *, store: Iterable[Endpoint] = ()
) -> AsyncIterator[dict[str, Handler]]:
    """The handlers of this release. Their connections close with the context.

    `store` are the servers of the event store (`store_endpoints(url)`); calls to them are refused.

    Raises:
        BadSetting: `UNSPOOL_EGRESS` is neither `private` nor `public`.
    """
    policy = EgressPolicy(_address_scope(settings.egress), await asyncio.to_thread(resolve, store))
    async with open_session(policy, connections=settings.concurrency) as session:
        groups = ProcessGroups()
        try:
            yield {call_http.QUEUE: HttpCall(session, settings), run_shell.QUEUE: ShellRun(settings, groups)}
        finally:
            await asyncio.to_thread(groups.close)


def _address_scope(text: str) -> AddressScope:
    try:
        return AddressScope(text.lower())
    except ValueError:
        raise BadSetting(f"UNSPOOL_EGRESS must be private or public, not {text!r}") from None
