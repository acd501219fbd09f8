"""`unspool services`: the services that are alive, and what waits in the queues."""

from collections.abc import Iterable, Iterator

import click

from unspool.cli.loop import asynchronous
from unspool.cli.options import Place, example, json_option, target_options
from unspool.cli.output import print_json, print_table
from unspool.cli.targets.opening import opened_target
from unspool.cli.targets.port import JsonObject


@click.command(epilog=example("unspool services --api https://unspool.example.com"))
@target_options
@json_option
@asynchronous
async def services(place: Place, as_json: bool) -> None:
    """List the services that are alive, and what waits in the queues, in all tenants.

    `unspool doctor` also checks the store, and says what to change.
    """
    async with opened_target(place) as target:
        system = await target.services()
    if as_json:
        print_json(system, one_line=True)
        return
    print_services(system)


def print_services(system: JsonObject) -> None:
    """Prints the services and queues as tables."""
    print_table(("SERVICE", "NAME", "VERSION", "LOAD", "USED"), _services(system["items"]))
    click.echo()
    print_table(("QUEUE", "WAITING", "HELD", "OLDEST", "SERVICES"), _queues(system["queues"]))


def _services(items: Iterable[JsonObject]) -> Iterator[tuple[str, ...]]:
    for each in items:
        used = f"{each['used']}/{each['capacity']}" if each["capacity"] else ""
        lacks = ", ".join(each.get("missingKeys", ()))
        load = f"lacks the key {lacks}" if lacks else each["load"]
        yield each["service"], each["name"], each["version"] or "0.1.0", load, used


def _queues(queues: Iterable[JsonObject]) -> Iterator[tuple[str, ...]]:
    for each in queues:
        oldest = f"{each['oldestSeconds']:.1f} s" if each["waiting"] else ""
        yield each["queue"], str(each["waiting"]), str(each["held"]), oldest, str(each["services"])
