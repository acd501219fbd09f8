"""`unspool encryption`: keys for the payloads in a store."""

import os
from collections import Counter
from pathlib import Path

import click

from unspool.cli.key_status import key_statuses, keys_of_archive
from unspool.cli.loop import asynchronous
from unspool.cli.options import example, json_option, no_api_option, store_option
from unspool.cli.output import print_line
from unspool.cli.stores import opened
from unspool.eventstore.encryption.cipher import ring_of
from unspool.eventstore.encryption.key_ring import new_key
from unspool.eventstore.encryption.key_use import key_use
from unspool.eventstore.encryption.settings import EncryptionSettings
from unspool.eventstore.opening import default_url
from unspool.eventstore.settings import from_environment


@click.group(epilog=example("unspool encryption new-key 2027-01 >> keys"))
def encryption() -> None:
    """Make keys for payloads in the store (UNSPOOL_ENCRYPTION_KEYS_FILE), and see which are in use."""


@encryption.command("new-key", epilog=example("(umask 077; unspool encryption new-key 2027-01 > keys)"))
@click.argument("id_", metavar="ID")
def make_key(id_: str) -> None:
    """Print a new random key of 256 bits, as a line of a key file.

    ID names the key in the store: a letter or digit, then up to 63 letters, digits, dots, - and _.
    """
    click.echo(new_key(id_))


@encryption.command("status", epilog=example("unspool encryption status --store redis://localhost:6379/0"))
@no_api_option
@store_option
@click.option(
    "--archive",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    envvar="UNSPOOL_ARCHIVE",
    help="Also reads the files of this archive.",
)
@json_option
@asynchronous
async def status(url: str | None, archive: Path | None, as_json: bool) -> None:
    """Say for each key what needs it, in all tenants, and whether it can be removed from the key file.

    It reads the whole store in small pieces, and decrypts nothing.
    """
    settings = from_environment(EncryptionSettings, os.environ)
    ring = ring_of(settings)
    async with opened(url or default_url(os.environ), create=False, sealed=True) as store:
        services = await store.live_consumers()
        use = await key_use(store.stored_records())
    archived = keys_of_archive(archive) if archive else Counter[str]()
    for key in key_statuses(ring, use, archived, services, encrypts=not settings.decrypt_only):
        if as_json:
            print_line(key.json())
        elif key.id or key.records:
            click.echo(key.sentence())
