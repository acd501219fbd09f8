"""Serves the protocol on standard input and output, or over HTTP."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from mcp.server.stdio import stdio_server

from unspool.api.authentication.authenticator import Authenticator
from unspool.api.authentication.jwt_settings import JwtSettings
from unspool.api.authentication.settings import AuthenticationSettings
from unspool.api.authentication.tokens import Tokens
from unspool.api.settings import ApiSettings
from unspool.cli.exits import CommandError
from unspool.cli.mcp.allowed import Allowed
from unspool.cli.mcp.http import CallersOfRequests, Keys, KeysOfApi, serve
from unspool.cli.mcp.server import LocalCaller, UnspoolServer
from unspool.cli.options import Place
from unspool.cli.output import say
from unspool.cli.serving import check_exposure
from unspool.cli.stores import opened, store_url
from unspool.cli.targets.port import Target
from unspool.eventstore.clock import SystemClock
from unspool.eventstore.settings import from_environment
from unspool.eventstore.waiting import done_before


async def serve_stdio(target: Target, allowed: Allowed, stop: asyncio.Event) -> None:
    """Serves the program that started this one, until it closes the streams or `stop` is set."""
    server = UnspoolServer(target, allowed, LocalCaller()).protocol()
    async with stdio_server() as (read, write):
        options = server.create_initialization_options()
        await done_before(server.run(read, write, options), stop.wait())


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
    server = UnspoolServer(target, allowed, CallersOfRequests()).protocol()
    async with _keys(place, authentication) as keys:
        try:
            await serve(server, settings, keys, place.tenant, stop, _print_address)
        except OSError as error:
            other = "; choose another port with --port" if error.errno == errno.EADDRINUSE else ""
            raise CommandError(f"cannot listen on {host} port {port}: {error.strerror}{other}") from None


def _print_address(address: str) -> None:
    say(f"unspool: agents can connect to {address}")


@asynccontextmanager
async def _keys(place: Place, authentication: AuthenticationSettings) -> AsyncIterator[Keys | None]:
    """Who knows the keys of callers: the API, or the store as the API knows them. None without keys."""
    if not authentication.on:
        yield None
    elif place.api is not None:
        yield KeysOfApi(place.api)
    else:
        jwt, clock = from_environment(JwtSettings, os.environ), SystemClock()
        tokens = Tokens(jwt, clock) if jwt.issuer else None
        async with opened(store_url(place)) as store:
            yield Authenticator(store, clock, authentication, tokens)
