"""`unspool keys`: the keys of the HTTP API."""

import click

from unspool.cli.exits import CommandError
from unspool.cli.loop import asynchronous
from unspool.cli.options import Place, example, json_option, target_options, timestamp
from unspool.cli.output import print_json, print_line, print_table, say
from unspool.cli.targets.opening import opened_target
from unspool.cli.targets.port import NewKey
from unspool.eventstore.api_keys import KEY_NAME, Scope
from unspool.eventstore.clock import SystemClock


@click.group(epilog=example("unspool keys create --name ci --scope start"))
def keys() -> None:
    """Create, list and revoke keys for the HTTP API. A change takes effect within some seconds."""


@keys.command(
    "create",
    epilog=example(
        "unspool keys create --name ci --scope start --scope read --tenant shop --expires 90d",
        "unspool keys create --name operator --scope admin --all-tenants",
    ),
)
@click.option("--name", required=True, help="Shown in lists and histories.")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice([scope.value for scope in Scope]),
    multiple=True,
    required=True,
    help="What the key may do (repeatable); operate includes read and start, admin everything.",
)
@click.option("--all-tenants", is_flag=True, help="The key may act in every tenant, by `X-Tenant`.")
@click.option("--expires", metavar="TIME", help="When it ends: 2027-01-31T12:00:00Z, or after 12h, 90d …")
@target_options
@json_option
@asynchronous
async def create(
    name: str, scopes: tuple[str, ...], all_tenants: bool, expires: str | None, place: Place, as_json: bool
) -> None:
    """Create a key for a tenant and print it. It is not shown again: the store has only its hash."""
    if not KEY_NAME.fullmatch(name):
        raise CommandError(f"--name must match {KEY_NAME.pattern}")
    now = SystemClock().now()
    expires_at = None if expires is None else timestamp(expires, now, future=True)
    if expires_at is not None and expires_at <= now:
        raise CommandError("--expires must be in the future")
    sorted_scopes = tuple(scope for scope in Scope if scope in scopes)
    async with opened_target(place) as target:
        made = await target.create_key(NewKey(name, sorted_scopes, all_tenants, expires_at))
    if as_json:
        print_json(made, one_line=True)
        return
    click.echo(made["key"])
    say(f"key {made['id']} was created; it is not shown again")


@keys.command("list", epilog=example("unspool keys list"))
@target_options
@json_option
@asynchronous
async def list_(place: Place, as_json: bool) -> None:
    """List the keys of all tenants, with --api those of yours, the oldest first, without their secrets."""
    async with opened_target(place) as target:
        found = await target.keys()
    if as_json:
        for key in found:
            print_line(key)
        return
    print_table(
        ("ID", "NAME", "TENANT", "SCOPES", "CREATED", "BY", "EXPIRES"),
        (
            (
                key["id"],
                key["name"],
                key["tenant"] or "all",
                ",".join(key["scopes"]),
                key["createdAt"],
                key["createdBy"] or "",
                key["expiresAt"] or "never",
            )
            for key in found
        ),
    )


@keys.command("revoke", epilog=example("unspool keys revoke 3f9c0a7be1d24c58"))
@click.argument("id_", metavar="ID")
@target_options
@asynchronous
async def revoke(id_: str, place: Place) -> None:
    """Revoke a key of any tenant. API processes refuse it within UNSPOOL_AUTH_CACHE_SECONDS."""
    async with opened_target(place) as target:
        await target.revoke_key(id_)
    say(f"key {id_} was revoked")
