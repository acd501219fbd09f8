"""`unspool workflows`: lists and shows deployed definitions."""

import click

from unspool.cli.deployed import named
from unspool.cli.loop import asynchronous
from unspool.cli.options import Place, example, json_option, target_options
from unspool.cli.output import print_line, print_table
from unspool.cli.targets.opening import opened_target


@click.group(epilog=example("unspool workflows list"))
def workflows() -> None:
    """List and show deployed definitions."""


@workflows.command("list", epilog=example("unspool workflows list --json"))
@target_options
@json_option
@asynchronous
async def list_(place: Place, as_json: bool) -> None:
    """List every version of every deployed definition."""
    async with opened_target(place) as target:
        found = await target.workflows()
    if as_json:
        for each in found:
            print_line(each)
        return
    print_table(
        ("WORKFLOW", "VERSION", "DEPLOYED"),
        ((f"{each['namespace']}/{each['name']}", each["version"], each["createdAt"]) for each in found),
    )


@workflows.command(epilog=example("unspool workflows show shop/order:1.0.0"))
@click.argument("workflow", metavar="NAMESPACE/NAME[:VERSION]")
@target_options
@asynchronous
async def show(workflow: str, place: Place) -> None:
    """Print the text of a definition as it was deployed. Without VERSION, it is the latest version."""
    async with opened_target(place) as target:
        text = await target.definition(await target.resolve(named(workflow)))
    click.echo(text.removesuffix("\n"))
