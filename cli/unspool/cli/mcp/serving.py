"""Serves the protocol on standard input and output, or over HTTP."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from unspool.api.authentication.authenticator import Authenticator
from unspool.api.authentication.jwt_settings import JwtSettings
from unspool.api.authentication.settings import AuthenticationSettings
from unspool.api.authentication.tokens import Tokens
from unspool.api.settings import ApiSettings
from unspool.cli.authentication import check_exposure
from unspool.cli.exits import CommandError
from unspool.cli.jq import jq_pool
from unspool.cli.mcp.allowed import Allowed
from unspool.cli.mcp.http import CallersOfRequests, Keys, KeysOfApi, KeysOfStore, serve
from unspool.cli.mcp.server import LocalCaller, UnspoolServer
from unspool.cli.mcp.stdio import standard_streams
from unspool.cli.options import Place
from unspool.cli.output import say
from unspool.cli.stores import opened, store_url
from unspool.cli.targets.port import Target
from unspool.cli.targets.store_target import StoreTarget
from unspool.eventstore.clock import SystemClock
from unspool.eventstore.settings import from_environment
from unspool.eventstore.waiting import done_before


async def serve_stdio(target: Target, allowed: Allowed, stop: asyncio.Event) -> None:
    """Serves the program that started this one, until it closes the streams or `stop` is set."""
    with jq_pool(os.environ) as jq:
        server = UnspoolServer(target, allowed, LocalCaller(), jq)
        protocol = server.protocol()
        async with standard_streams() as streams:
            serving = protocol.run(streams.read, streams.write, server.connected(protocol))
            await done_before(serving, server.changes.watch(), stop.wait())


async def serve_http(
    target: Target, allowed: Allowed, place: Place, host: str, port: int, stop: asyncio.Event
) -> None:
    """Serves clients over HTTP until `stop` is set.

    Raises:
        CommandError: the address cannot be used, or others can reach it and authentication is not set.
        BadSetting: a setting is not valid.
    """
    settings = replace(from_environment(ApiSettings, os.environ), host=host, port=port)
    authentication = from_environment(AuthenticationSettings, os.environ)
    check_exposure(settings, authentication)
    with jq_pool(os.environ) as jq:
        server = UnspoolServer(target, allowed, CallersOfRequests(), jq)
        try:
            async with _keys(target, place, authentication) as keys:
                await serve(server, settings, keys, place.tenant, stop, _print_address)
        except OSError as error:
            other = "; choose another port with --port" if error.errno == errno.EADDRINUSE else ""
            raise CommandError(f"cannot listen on {host} port {port}: {error.strerror}{other}") from None


def _print_address(address: str) -> None:
    say(f"unspool: agents can connect to {address}")


@asynccontextmanager
async def _keys(
    target: Target, place: Place, authentication: AuthenticationSettings
) -> AsyncIterator[Keys | None]:
    """Who knows the keys of callers: the API, or the store as the API knows them. None without keys."""
    if not authentication.on:
        yield None
    elif place.api is not None:
        yield KeysOfApi(place.api, place.tenant)
    else:
        assert isinstance(target, StoreTarget)
        jwt, clock = from_environment(JwtSettings, os.environ), SystemClock()
        tokens = Tokens(jwt, clock) if jwt.issuer else None
        async with opened(store_url(place)) as store:
            yield KeysOfStore(Authenticator(store, clock, authentication, tokens), target)
