"""`unspool events`: the events that workflows listen for."""

import click

from unspool.cli.exits import CommandError
from unspool.cli.exports import read_events
from unspool.cli.files import read_file
from unspool.cli.loop import asynchronous
from unspool.cli.options import Place, example, json_option, parse_json, target_options
from unspool.cli.output import print_json, print_line, say
from unspool.cli.targets.opening import opened_target
from unspool.definitions.cloud_events import problems_of_published
from unspool.definitions.json_value import Json


@click.group(epilog=example("unspool events publish paid.json"))
def events() -> None:
    """Publish events to the workflows that listen for them; read archived ones."""


@events.command(
    "publish", epilog=example("unspool events publish paid.json", "order | unspool events publish -")
)
@click.argument("file", metavar="FILE|-")
@target_options
@json_option
@asynchronous
async def publish(file: str, place: Place, as_json: bool) -> None:
    """Publish a CloudEvent, or an array of them, from a JSON file. If one is not valid, none is published."""
    source = "standard input" if file == "-" else file
    text = read_file(file)
    given = parse_json(text, source)
    batch = given if isinstance(given, list) else [given]
    _check(source, batch, len(text), single=batch is not given)
    async with opened_target(place) as target:
        published = await target.publish(batch)
    duplicates = None if published is None else len(batch) - published
    if as_json:
        print_json({"accepted": len(batch), "duplicates": duplicates}, one_line=True)
        return
    if published is None:
        say(
            f"unspool: published {_counted(len(batch))};"
            " those that were published before are not published again"
        )
        return
    say(f"unspool: published {_counted(published)}")
    if duplicates:
        say(
            f"unspool: {_counted(duplicates)} not published again:"
            " an event with the same source and id was published before"
        )


@events.command("read", epilog=example("unspool events read archive/default/events/2026-11-29/*.jsonl.gz"))
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
def read(files: tuple[str, ...]) -> None:
    """Print the events of archived files, one a line, as they were published."""
    for file in files:
        for event in read_events(file):
            print_line(event)


def _counted(number: int) -> str:
    return f"{number} event{'' if number == 1 else 's'}"


def _check(source: str, events_: list[Json], size: int, *, single: bool) -> None:
    """Raises `CommandError` with every problem of every event. `size` is that of the text, in bytes."""
    problems = [
        f"{source}: {'' if single else f'event {place}: '}{message}"
        for place, event in enumerate(events_)
        for message in problems_of_published(event, size)
    ]
    if problems:
        raise CommandError("\n".join(problems))
