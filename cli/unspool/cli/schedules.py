"""`unspool schedules`: lists, pauses and resumes schedules, and shows their histories."""

import click

from unspool.api.representations import schedule_json
from unspool.cli.actor import current_actor, reason_option
from unspool.cli.effects import takes_effect, wait_options
from unspool.cli.exits import CommandError, Exit
from unspool.cli.history import print_events
from unspool.cli.loop import asynchronous
from unspool.cli.options import Place, example, json_option, place_options
from unspool.cli.output import json_text, print_json, print_line, print_table, say
from unspool.cli.stores import opened, store_url
from unspool.eventstore.port import EventStore
from unspool.eventstore.records import ExecutionKey, Message, MessageKind
from unspool.worker.schedule.operations import (
    PAUSED_BY,
    current_schedule,
    current_schedules,
    key_of,
    wait_until_paused,
)
from unspool.worker.schedule.state import ScheduleState


@click.group(epilog=example("unspool schedules list"))
def schedules() -> None:
    """List, pause and resume schedules, and show their histories."""


@schedules.command("list", epilog=example("unspool schedules list --json"))
@place_options
@json_option
@asynchronous
async def list_(place: Place, as_json: bool) -> None:
    """List the schedules of deployed definitions, with their next, last and last missed occurrence."""
    async with opened(store_url(place)) as store:
        found = await current_schedules(store, place.tenant)
    items = [schedule_json(state) for state in found]
    if as_json:
        for item in items:
            print_line(item)
        return
    print_table(
        ("ID", "VERSION", "STATE", "NEXT", "LAST", "MISSED", "SCHEDULE"),
        (
            (
                item["id"],
                item["workflow"]["version"],
                "paused" if item["paused"] else "active",
                item["next"] or "-",
                item["last"] or "-",
                item["missed"]["from"] if item["missed"] else "-",
                json_text(item["schedule"]),
            )
            for item in items
        ),
    )


@schedules.command(epilog=example("unspool schedules history shop.report"))
@click.argument("id_", metavar="ID")
@place_options
@json_option
@asynchronous
async def history(id_: str, place: Place, as_json: bool) -> None:
    """Show the newest events of a schedule: what it started, and why it did not start something.

    Earlier events are not kept.
    """
    async with opened(store_url(place)) as store:
        key = _key(place, id_)
        await _schedule(store, key)
        events = await store.history(key)
    print_events(events, as_json=as_json)


def _operation(kind: MessageKind, name: str, text: str) -> click.Command:
    """Makes the command for one operation, with `text` as its help."""

    @click.command(name, help=text, epilog=example(f"unspool schedules {name} shop.report"))
    @click.argument("id_", metavar="ID")
    @reason_option
    @wait_options
    @place_options
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
        async with opened(store_url(place)) as store:
            key = _key(place, id_)
            await _schedule(store, key)
            await store.send(place.tenant, Message(kind, key.id, current_actor(reason).data()))
            applied = wait and await takes_effect(
                wait_until_paused(store, key, paused=PAUSED_BY[kind]), timeout
            )
            state = await _schedule(store, key)
        if as_json:
            print_json(schedule_json(state), one_line=True)
        elif applied:
            click.echo(f"schedule {id_} is {'paused' if state.paused else 'active'}")
        if not wait:
            say(f"asked schedule {id_} to {name}")
        if applied or not wait:
            return Exit.DONE
        say(f"unspool: no worker has applied {name} to schedule {id_} yet; is a worker running?")
        return Exit.GAVE_UP

    return operate


def _key(place: Place, id_: str) -> ExecutionKey:
    key = key_of(place.tenant, id_)
    if key is None:
        raise CommandError(f"{id_!r} is not a schedule's id; write NAMESPACE.NAME")
    return key


async def _schedule(store: EventStore, key: ExecutionKey) -> ScheduleState:
    state = await current_schedule(store, key)
    if state is None:
        raise CommandError(f"there is no schedule {key.id.partition('.')[2]}")
    return state


for kind, name, text in (
    (MessageKind.SUSPEND, "pause", "Pause a schedule: it starts nothing until it is resumed."),
    (MessageKind.RESUME, "resume", "Resume a paused schedule. What was due during the pause is not started."),
):
    schedules.add_command(_operation(kind, name, text))
