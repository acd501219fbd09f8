"""Opens the sink that gets events by HTTP."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp

from unspool.eventstore.clock import SystemClock
from unspool.executor.secrets import LocalSecrets
from unspool.executor.transports.http_sink import HttpSink
from unspool.executor.transports.settings import TransportSettings


@asynccontextmanager
async def opened_http_sink(
    settings: TransportSettings, environment: Mapping[str, str], secrets_dir: str
) -> AsyncIterator[HttpSink]:
    """The sink at the address of the settings. Its connections close with the context.

    Its session keeps no cookies and uses no proxy or `.netrc` of the environment.

    Raises:
        BadSetting: the address is not an HTTP URL.
    """
    session = aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(), headers={"User-Agent": "unspool"}, trust_env=False
    )
    async with session:
        yield HttpSink(session, settings, LocalSecrets(environment, secrets_dir), SystemClock())
