"""`unspool validate`: prints every problem of every file."""

import os
from dataclasses import asdict

import click

from unspool.cli.documents import checked
from unspool.cli.exits import CommandError, Exit
from unspool.cli.options import example, json_option
from unspool.cli.output import print_line, say
from unspool.cli.terminal import printable
from unspool.cli.upcoming import upcoming
from unspool.definitions.document import Document
from unspool.definitions.problems import Problem, Severity
from unspool.eventstore.clock import SystemClock
from unspool.eventstore.settings import from_environment
from unspool.worker.schedule.settings import ScheduleSettings


@click.command(epilog=example("unspool validate order.yaml payment.yaml"))
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@json_option
def validate(files: tuple[str, ...], as_json: bool) -> int:
    """Check definitions and print every problem as FILE:LINE:COLUMN: MESSAGE (POINTER).

    Warnings go to standard error and do not change the exit code. So do the next occurrences of a valid
    schedule; with --json they are an object on standard output.
    """
    valid = True
    for file in files:
        try:
            document, problems = found = checked(file)
        except CommandError as unreadable:
            say(f"unspool: {unreadable}")
            valid = False
            continue
        for problem in problems:
            _print(file, problem, as_json=as_json)
        if found.valid and document is not None and "schedule" in document.value:
            _print_occurrences(file, document, as_json=as_json)
        valid = valid and found.valid
    return Exit.DONE if valid else Exit.INVALID


def _print(file: str, problem: Problem, *, as_json: bool) -> None:
    if as_json:
        print_line({"file": file, **asdict(problem)})
    else:
        warning = problem.severity is Severity.WARNING
        click.echo(printable(f"{file}:{problem}{' [warning]' if warning else ''}"), err=warning)


def _print_occurrences(file: str, document: Document, *, as_json: bool) -> None:
    settings = from_environment(ScheduleSettings, os.environ)
    times = upcoming(document.value["schedule"], settings.zone, SystemClock().now())
    if as_json:
        print_line({"file": file, "schedule": document.value["schedule"], "next": times})
        return
    for trigger, occurrences in times.items():
        then = ", then that long after each end" if trigger == "after" else ""
        say(f"{file}: schedule.{trigger}, next: {', '.join(occurrences)}{then}")
