"""Opens the transports that the settings name."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp

from unspool.eventstore.clock import SystemClock
from unspool.eventstore.port import EventStore
from unspool.eventstore.settings import from_environment
from unspool.executor.secrets import LocalSecrets
from unspool.executor.settings import ExecutorSettings
from unspool.executor.transports.http_sink import HttpSink
from unspool.executor.transports.service import TransportService
from unspool.executor.transports.settings import TransportSettings
from unspool.executor.transports.sink import Sink


@asynccontextmanager
async def opened_transports(
    store: EventStore, environment: Mapping[str, str], name: str
) -> AsyncIterator[TransportService]:
    """The service with the sinks of the settings. Their connections close with the context.

    Args:
        store: an open store.
        environment: holds the settings and secrets.
        name: of this process, unique.

    Raises:
        BadSetting: a setting is not valid.
    """
    settings = from_environment(TransportSettings, environment)
    async with AsyncExitStack() as stack:
        sinks: list[Sink] = []
        if settings.sink_url:
            secrets_dir = from_environment(ExecutorSettings, environment).secrets_dir
            secrets = LocalSecrets(environment, secrets_dir)
            session = await stack.enter_async_context(_session())
            sinks.append(HttpSink(session, settings, secrets, SystemClock()))
        yield TransportService(store, sinks, settings, name)


def _session() -> aiohttp.ClientSession:
    """A session that keeps no cookies and uses no proxy or `.netrc` of the environment."""
    return aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(), headers={"User-Agent": "unspool"}, trust_env=False
    )
