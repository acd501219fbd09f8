"""The handlers an executor has, by the queue they serve."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from unspool.definitions.tasks import call_http, run_shell
from unspool.eventstore.settings import BadSetting
from unspool.executor.egress import EgressPolicy, Endpoint, Reach, resolve
from unspool.executor.http.call import HttpCall
from unspool.executor.outbound import open_session
from unspool.executor.outcome import Handler
from unspool.executor.settings import ExecutorSettings
from unspool.executor.shell import ShellRun


@asynccontextmanager
async def default_handlers(
    settings: ExecutorSettings, *, store: Iterable[Endpoint] = ()
) -> AsyncIterator[dict[str, Handler]]:
    """The handlers of this release, open as long as the context is.

    `store` are the servers of the event store (`store_endpoints(url)`); no call may go there.

    Raises:
        BadSetting: `UNSPOOL_EGRESS` is not one of its values.
    """
    policy = EgressPolicy(_reach(settings.egress), await asyncio.to_thread(resolve, store))
    async with open_session(policy, connections=settings.concurrency) as session:
        yield {call_http.QUEUE: HttpCall(session, settings), run_shell.QUEUE: ShellRun(settings)}


def _reach(text: str) -> Reach:
    try:
        return Reach(text.lower())
    except ValueError:
        raise BadSetting(f"UNSPOOL_EGRESS must be private or public, not {text!r}") from None
