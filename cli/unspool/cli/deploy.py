"""`unspool deploy`: stores definitions."""

import click

from unspool.cli.documents import deploy_document, identity, listening, valid_document
from unspool.cli.loop import asynchronous
from unspool.cli.options import Place, example, json_option, place_options
from unspool.cli.output import print_line
from unspool.cli.stores import opened, store_url
from unspool.definitions.document import Document
from unspool.eventstore.records import Stored


@click.command(epilog=example("unspool deploy order.yaml payment.yaml --store redis://localhost:6379/0"))
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@place_options
@json_option
@asynchronous
async def deploy(files: tuple[str, ...], place: Place, as_json: bool) -> int:
    """Store definitions. Nothing is stored unless all are valid.

    A stored definition never changes: a changed one needs a new version. To deploy the same text again is not
    an error. A definition with a `schedule` is started by time or by events from then on.
    """
    async with opened(store_url(place)) as store:
        known = {
            name for each in await store.functions() for name in (each.name, f"{each.name}:{each.version}")
        }
        documents = [valid_document(file, known) for file in files]
        for document in documents:
            _print(document, await deploy_document(store, place.tenant, document), as_json=as_json)
        await listening(store, place.tenant, documents)
    return 0


def _print(document: Document, stored: Stored, *, as_json: bool) -> None:
    ref = identity(document)
    if as_json:
        print_line({**ref._asdict(), "created": stored is Stored.CREATED})
    else:
        click.echo(f"{ref}  {'deployed' if stored is Stored.CREATED else 'unchanged'}")
