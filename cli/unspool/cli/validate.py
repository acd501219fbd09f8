"""`unspool validate`: prints every problem of every file."""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import click

from unspool.cli.documents import Checked, checked, line_of, loaded
from unspool.cli.exits import CommandError, Exit
from unspool.cli.options import Extensions, example, functions_option, json_option
from unspool.cli.output import print_line, say
from unspool.cli.python_functions import loaded_functions
from unspool.cli.terminal import printable
from unspool.cli.upcoming import upcoming
from unspool.definitions.document import Document
from unspool.definitions.problems import DefinitionInvalid, Problem, Severity
from unspool.definitions.semantics import known_workflows
from unspool.eventstore.clock import SystemClock
from unspool.eventstore.settings import from_environment
from unspool.worker.schedule.settings import ScheduleSettings


@click.command(epilog=example("unspool validate order.yaml payment.yaml"))
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@functions_option
@json_option
def validate(files: tuple[str, ...], functions: Extensions, as_json: bool) -> int:
    """Check definitions and print every problem as FILE:LINE:COLUMN: MESSAGE (POINTER).

    Warnings go to standard error and do not change the exit code. The next occurrences of a valid schedule go
    to standard error, too; with --json they are an object on standard output. With several files, there is a
    warning for each sub-workflow that none of them defines, and with --functions for each call of a function
    that the modules do not have.
    """
    names = loaded_functions(functions).names()
    documents = {file: _loaded(file) for file in files}
    workflows = known_workflows(_definitions(documents.values())) if len(documents) > 1 else None
    valid = True
    for file, found in documents.items():
        if isinstance(found, CommandError):
            say(f"unspool: {found}")
            valid = False
        else:
            valid = _print_problems(file, checked(found, workflows, names), as_json=as_json) and valid
    return Exit.DONE if valid else Exit.INVALID


def _loaded(file: str) -> Document | DefinitionInvalid | CommandError:
    try:
        return loaded(file)
    except CommandError as unreadable:
        return unreadable


def _definitions(found: Iterable[object]) -> Iterator[Mapping[str, Any]]:
    return (document.value for document in found if isinstance(document, Document))


def _print_problems(file: str, found: Checked, *, as_json: bool) -> bool:
    """Prints what was found in a file. Returns whether its definition is valid."""
    for problem in found.problems:
        _print(file, problem, as_json=as_json)
    if found.valid and found.document is not None and "schedule" in found.document.value:
        _print_occurrences(file, found.document, as_json=as_json)
    return found.valid


def _print(file: str, problem: Problem, *, as_json: bool) -> None:
    if as_json:
        print_line({"file": file, **asdict(problem)})
    else:
        click.echo(printable(line_of(file, problem)), err=problem.severity is Severity.WARNING)


def _print_occurrences(file: str, document: Document, *, as_json: bool) -> None:
    settings = from_environment(ScheduleSettings, os.environ)
    times = upcoming(document.value["schedule"], settings.zone, SystemClock().now())
    if as_json:
        print_line({"file": file, "schedule": document.value["schedule"], "next": times})
        return
    for trigger, occurrences in times.items():
        then = ", then that long after each end" if trigger == "after" else ""
        say(f"{file}: schedule.{trigger}, next: {', '.join(occurrences)}{then}")
    if "on" in document.value["schedule"]:
        say(f"{file}: schedule.on, when events match")
