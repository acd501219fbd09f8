"""`unspool encryption`: keys for the payloads in a store."""

import click

from unspool.cli.options import example
from unspool.eventstore.encryption.key_ring import new_key


@click.group(epilog=example("unspool encryption new-key 2027-01 >> keys"))
def encryption() -> None:
    """Make keys that encrypt payloads in the store (UNSPOOL_ENCRYPTION_KEYS_FILE)."""


@encryption.command("new-key", epilog=example("(umask 077; unspool encryption new-key 2027-01 > keys)"))
@click.argument("id_", metavar="ID")
def make_key(id_: str) -> None:
    """Print a new random key of 256 bits, as a line of a key file.

    ID names the key in the store: a letter or digit, then up to 63 letters, digits, dots, - and _.
    """
    click.echo(new_key(id_))
