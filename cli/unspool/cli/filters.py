"""The options of a command that filters executions."""

import functools
from collections.abc import Callable
from typing import TypeVar

import click

from unspool.api.execution_filters import BadFilter, FilterTexts, read_filter
from unspool.cli.exits import CommandError
from unspool.eventstore.clock import SystemClock
from unspool.eventstore.records import Status

Result = TypeVar("Result")

_OPTIONS = (
    click.option(
        "--status",
        "statuses",
        multiple=True,
        type=click.Choice([status.value for status in Status]),
        help="Only those in this status (repeatable: in one of them).",
    ),
    click.option("--workflow", metavar="NAMESPACE/NAME[:VERSION]", help="Only those of this workflow."),
    click.option(
        "--since",
        metavar="TIME",
        help="Only those created since: 2026-01-31T12:00:00Z, or 30m, 12h, 7d for ago.",
    ),
    click.option("--until", metavar="TIME", help="Only those created before: a time as for --since."),
    click.option(
        "--id", "id_", metavar="ID[*]", help="Only this one; with * those whose ids begin like this."
    ),
    click.option("--parent", metavar="ID", help="Only sub-workflows that this execution has started."),
    click.option(
        "--tag", "tags", multiple=True, metavar="NAME:VALUE", help="Only those with this tag (repeatable)."
    ),
)


def filter_options(command: Callable[..., Result]) -> Callable[..., Result]:
    """Adds the options; the command receives them as `criteria`, an `ExecutionFilter`."""

    @functools.wraps(command)
    def filtered(
        *args: object,
        statuses: tuple[str, ...],
        workflow: str | None,
        since: str | None,
        until: str | None,
        id_: str | None,
        parent: str | None,
        tags: tuple[str, ...],
        **options: object,
    ) -> Result:
        texts = FilterTexts(
            statuses=statuses, workflow=workflow, since=since, until=until, id=id_, parent=parent, tags=tags
        )
        try:
            criteria = read_filter(texts, SystemClock().now())
        except BadFilter as error:
            raise CommandError(str(error)) from None
        return command(*args, criteria=criteria, **options)

    for option in reversed(_OPTIONS):
        filtered = option(filtered)
    return filtered
