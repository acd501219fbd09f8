"""`unspool deploy`: stores definitions."""

import click

from unspool.cli.documents import valid_document
from unspool.cli.loop import asynchronous
from unspool.cli.options import Place, example, json_option, target_options
from unspool.cli.output import print_line
from unspool.cli.targets.opening import opened_target
from unspool.cli.targets.port import Deployed
from unspool.cli.terminal import printable


@click.command(epilog=example("unspool deploy order.yaml payment.yaml --store redis://localhost:6379/0"))
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@target_options
@json_option
@asynchronous
async def deploy(files: tuple[str, ...], place: Place, as_json: bool) -> int:
    """Store definitions. Nothing is stored unless all are valid.

    A stored definition never changes: a changed one needs a new version. To deploy the same text again is not
    an error. A definition with a `schedule` is started by time or by events from then on.
    """
    async with opened_target(place) as target:
        functions = await target.functions()
        known = {name for each in functions for name in (each["name"], f"{each['name']}:{each['version']}")}
        documents = [valid_document(file, known) for file in files]
        for document in documents:
            deployed = await target.deploy(document)
            for warning in deployed.warnings:
                click.echo(printable(f"{document.name}:{warning} [warning]"), err=True)
            _print(deployed, as_json=as_json)
        await target.listening(documents)
    return 0


def _print(deployed: Deployed, *, as_json: bool) -> None:
    if as_json:
        print_line({**deployed.ref._asdict(), "created": deployed.created})
    else:
        click.echo(f"{deployed.ref}  {'deployed' if deployed.created else 'unchanged'}")
