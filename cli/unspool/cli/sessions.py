"""`unspool sessions`: the logins of browsers."""

import os

import click

from unspool.cli.exits import CommandError
from unspool.cli.loop import asynchronous
from unspool.cli.options import example, json_option, no_api_option, store_option
from unspool.cli.output import print_line, print_table, say
from unspool.cli.stores import opened
from unspool.definitions.json_value import Json
from unspool.eventstore.api_keys import Session
from unspool.eventstore.clock import rfc3339
from unspool.eventstore.opening import default_url


@click.group(epilog=example("unspool sessions end jwt:ada"))
def sessions() -> None:
    """List and end the sessions of browsers. A change takes effect with the next request."""


@sessions.command("list", epilog=example("unspool sessions list"))
@no_api_option
@store_option
@json_option
@asynchronous
async def list_(url: str | None, as_json: bool) -> None:
    """List the sessions of all tenants, those that end first before the others."""
    async with opened(url or default_url(os.environ), create=False) as store:
        found = await store.sessions()
    if as_json:
        for session in found:
            print_line(_session_json(session))
        return
    print_table(
        ("NAME", "TENANT", "SCOPES", "KEY", "ENDS"),
        (
            (
                session.name,
                session.tenant or "all",
                ",".join(session.scopes),
                session.key or "",
                rfc3339(session.expires_at),
            )
            for session in found
        ),
    )


@sessions.command("end", epilog=example("unspool sessions end jwt:ada"))
@click.argument("name", metavar="NAME")
@no_api_option
@store_option
@asynchronous
async def end(name: str, url: str | None) -> None:
    """End all sessions with a name, in all tenants, such as those of a person who has left.

    A session of a key also ends when the key is revoked.
    """
    async with opened(url or default_url(os.environ), create=False) as store:
        found = [session for session in await store.sessions() if session.name == name]
        for session in found:
            await store.delete_session(session.id)
    if not found:
        raise CommandError(f"{name!r} has no session; `unspool sessions list` shows the names")
    say(f"{len(found)} session{'' if len(found) == 1 else 's'} of {name} ended")


def _session_json(session: Session) -> dict[str, Json]:
    return {
        "name": session.name,
        "tenant": session.tenant,
        "scopes": list(session.scopes),
        "key": session.key,
        "expiresAt": rfc3339(session.expires_at),
    }
