"""`unspool schedules`: lists, pauses and resumes schedules, and shows their histories."""

from collections.abc import Mapping

import click

from unspool.cli.actor import reason_option
from unspool.cli.effects import requested, wait_options
from unspool.cli.exits import Exit
from unspool.cli.history import print_events
from unspool.cli.loop import asynchronous
from unspool.cli.options import (
    Place,
    example,
    json_option,
    no_api_option,
    place_options,
    target_options,
)
from unspool.cli.output import json_text, print_json, print_line, print_table, say
from unspool.cli.stores import opened, store_url
from unspool.cli.targets.opening import opened_target
from unspool.cli.targets.store_operation import schedule_key_of, schedule_of
from unspool.definitions.json_value import Json
from unspool.eventstore.records import MessageKind


@click.group(epilog=example("unspool schedules list"))
def schedules() -> None:
    """List, pause and resume schedules, and show their histories."""


@schedules.command("list", epilog=example("unspool schedules list --json"))
@target_options
@json_option
@asynchronous
async def list_(place: Place, as_json: bool) -> None:
    """List the schedules of deployed definitions, with their next, last and last missed occurrence."""
    async with opened_target(place) as target:
        items = await target.schedules()
    if as_json:
        for item in items:
            print_line(item)
        return
    print_table(
        ("ID", "VERSION", "STATE", "NEXT", "LAST", "MISSED", "SCHEDULE", "PAUSED BY"),
        (
            (
                item["id"],
                item["workflow"]["version"],
                "paused" if item["paused"] else "active",
                item["next"] or "-",
                item["last"] or "-",
                item["missed"]["from"] if item.get("missed") else "-",
                json_text(item["schedule"]),
                _pause(item.get("pause")),
            )
            for item in items
        ),
    )


@schedules.command(epilog=example("unspool schedules history shop.report"))
@click.argument("id_", metavar="ID")
@no_api_option
@place_options
@json_option
@asynchronous
async def history(id_: str, place: Place, as_json: bool) -> None:
    """Show the newest events of a schedule: what it started, and why it did not start something.

    Earlier events are not kept.
    """
    async with opened(store_url(place)) as store:
        key = schedule_key_of(place.tenant, id_)
        await schedule_of(store, key)
        events = await store.history(key)
    print_events(events, as_json=as_json)


def _operation(kind: MessageKind, name: str, text: str) -> click.Command:
    """Makes the command for one operation, with `text` as its help."""

    @click.command(name, help=text, epilog=example(f"unspool schedules {name} shop.report"))
    @click.argument("id_", metavar="ID")
    @reason_option
    @wait_options
    @target_options
    @json_option
    @asynchronous
    async def operate(
        id_: str,
        reason: str | None,
        wait: bool,
        timeout: float,  # noqa: ASYNC109 - an option of the command
        place: Place,
        as_json: bool,
    ) -> int:
        async with opened_target(place) as target:
            operated = await requested(target.operate_schedule(kind, id_, reason, timeout if wait else 0.0))
        applied = operated is not None and operated.applied
        if operated is not None and as_json:
            print_json(operated.after, one_line=True)
        elif operated is not None and applied and wait:
            click.echo(f"schedule {id_} is {'paused' if operated.after['paused'] else 'active'}")
        if not wait:
            say(f"asked schedule {id_} to {name}")
        if applied or not wait:
            return Exit.DONE
        say(f"unspool: no worker has applied {name} to schedule {id_} yet; is a worker running?")
        return Exit.GAVE_UP

    return operate


for kind, name, text in (
    (MessageKind.SUSPEND, "pause", "Pause a schedule: it starts nothing until it is resumed."),
    (MessageKind.RESUME, "resume", "Resume a paused schedule. What was due during the pause is not started."),
):
    schedules.add_command(_operation(kind, name, text))


def _pause(pause: Mapping[str, Json] | None) -> str:
    """By whom and why a schedule was paused; nothing if it works."""
    if pause is None:
        return ""
    reason = f": {pause['reason']}" if pause.get("reason") else ""
    return f"{pause.get('by', '')}{reason}, {pause['at']}"
