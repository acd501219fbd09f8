"""`unspool workflows`: lists and shows deployed definitions."""

import click

from unspool.cli.deployed import deployed, named
from unspool.cli.exits import CommandError
from unspool.cli.loop import asynchronous
from unspool.cli.options import Place, example, json_option, place_options
from unspool.cli.output import print_line, print_table
from unspool.cli.stores import opened, store_url
from unspool.eventstore.clock import rfc3339


@click.group(epilog=example("unspool workflows list"))
def workflows() -> None:
    """List and show deployed definitions."""


@workflows.command("list", epilog=example("unspool workflows list --json"))
@place_options
@json_option
@asynchronous
async def list_(place: Place, as_json: bool) -> None:
    """List every version of every deployed definition."""
    async with opened(store_url(place)) as store:
        found = await store.definitions(place.tenant)
    if as_json:
        for definition in found:
            print_line({**definition.ref._asdict(), "createdAt": rfc3339(definition.created_at)})
        return
    print_table(
        ("WORKFLOW", "VERSION", "DEPLOYED"),
        (
            (
                f"{definition.ref.namespace}/{definition.ref.name}",
                definition.ref.version,
                rfc3339(definition.created_at),
            )
            for definition in found
        ),
    )


@workflows.command(epilog=example("unspool workflows show shop/order:1.0.0"))
@click.argument("workflow", metavar="NAMESPACE/NAME[:VERSION]")
@place_options
@asynchronous
async def show(workflow: str, place: Place) -> None:
    """Print the text of a definition as it was deployed. Without VERSION, it is the latest version."""
    async with opened(store_url(place)) as store:
        ref = await deployed(store, place.tenant, named(workflow))
        definition = await store.definition(place.tenant, *ref)
    if definition is None:
        raise CommandError(f"the definition {ref} is not deployed")
    click.echo(definition.text.removesuffix("\n"))
