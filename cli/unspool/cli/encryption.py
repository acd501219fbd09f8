"""`unspool encryption`: keys for the payloads in a store."""

import os
from collections.abc import Iterator

import click

from unspool.cli.loop import asynchronous
from unspool.cli.options import Place, example, json_option, place_options
from unspool.cli.output import print_line, print_table
from unspool.cli.stores import opened, store_url
from unspool.definitions.json_value import Json
from unspool.eventstore.encryption.cipher import ring_of
from unspool.eventstore.encryption.key_ring import KeyRing, new_key
from unspool.eventstore.encryption.key_use import PLAIN, KeyUse, key_use
from unspool.eventstore.encryption.settings import EncryptionSettings
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


@encryption.command("status", epilog=example("unspool encryption status --tenant shop"))
@place_options
@json_option
@asynchronous
async def status(place: Place, as_json: bool) -> None:
    """Count the executions, dead letters and published events of a tenant by the key that they need.

    It reads all histories of the tenant, and decrypts nothing. Texts of external resources are not counted.
    """
    settings = from_environment(EncryptionSettings, os.environ)
    ring = ring_of(settings)
    async with opened(store_url(place), sealed=True) as store:
        use = await key_use(store, place.tenant)
    rows = list(_rows(ring, use, encrypts=not settings.decrypt_only))
    if as_json:
        for row in rows:
            print_line(row)
        return
    print_table(
        ("KEY", "WHAT IT DOES", "EXECUTIONS", "DEAD LETTERS", "EVENTS"),
        (tuple(str(value) if value is not None else "(plain)" for value in row.values()) for row in rows),
    )


def _rows(ring: KeyRing, use: KeyUse, *, encrypts: bool) -> Iterator[dict[str, Json]]:
    """Yields the keys of the ring, in their order, then the other ones in use, and what is plain."""
    in_ring = [key.id for key in ring.keys]
    for id_ in (*in_ring, *sorted(use.ids() - {*in_ring, PLAIN}), PLAIN):
        role = "decrypts" if id_ in in_ring else "missing"
        if encrypts and in_ring[:1] == [id_]:
            role = "encrypts"
        yield {
            "key": id_ or None,
            "role": role if id_ else "none",
            "executions": use.executions[id_],
            "deadLetters": use.dead_letters[id_],
            "events": use.events[id_],
        }
